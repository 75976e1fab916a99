/**
 * What a service has beside its placement: how its health is found out, where it is registered, and in what order it is
 * started. Nothing here does anything.
 */

/** A program and its arguments, run without a shell. */
export type Command = readonly [string, ...string[]];

/**
 * What tells whether an instance does its work. `{host}`, `{address}` and `{instance}` are filled in on its host. Healthy:
 * `http` answers 2xx, `tcp` accepts a connection, `exec` exits with 0.
 */
export type Probe =
  | { readonly kind: 'http'; readonly url: string }
  /** `host:port`. */
  | { readonly kind: 'tcp'; readonly address: string }
  | { readonly kind: 'exec'; readonly command: Command };

/** How an instance's health is found out, by the executor of its host, and what follows from it. */
export interface HealthCheck {
  readonly probe: Probe;
  /** From the end of one probe to the next one's start. */
  readonly intervalMs: number;
  /** A probe without an answer by then has failed. */
  readonly timeoutMs: number;
  /** Probes in a row that must succeed before the instance is healthy, and fail before it is unhealthy; 1 or more. */
  readonly healthyAfter: number;
  readonly unhealthyAfter: number;
  /** Failures this early after the start count for nothing. */
  readonly startPeriodMs: number;
  readonly onUnhealthy: 'report' | 'restart' | 'move';
  /** Restarts or moves of one unit in any hour; then it stays as it is, and is reported. */
  readonly limitPerHour: number;
}

/** Each running instance is registered under `label` for others to find. */
export interface Discovery {
  readonly label: string;
  readonly port?: number;
  readonly role?: string;
  /** Published as it is; the values are texts. */
  readonly info?: Readonly<Record<string, string>>;
  /** Only while its check says that it is healthy; without a check, while it is active. */
  readonly onlyHealthy: boolean;
  /** From the end of its registration to a stop that we decide, ms; more than 0. */
  readonly deregistrationDelayMs?: number;
}

/** At most `atOnce` instances of the service are being started at any time in the whole cluster; each until it is so. */
export interface StartOrder {
  readonly atOnce: number;
  readonly until: 'active' | 'healthy';
  /** An instance that takes longer gives its turn away. */
  readonly timeoutMs: number;
}

/** Started only once `service` runs (and is healthy, if it has a check): anywhere, or on the same host. */
export interface StartAfter {
  readonly service: string;
  readonly where: 'anywhere' | 'same-host';
}

/** What a service has beside its placement; all of it reaches the executor with the unit. */
export interface Attachments {
  readonly check?: HealthCheck;
  readonly discovery?: Discovery;
  readonly start?: StartOrder;
  readonly after?: readonly StartAfter[];
}
