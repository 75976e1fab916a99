/** What units that are started in order (`start`, `after`) wait for on this host: from one pass to the next. */
import type { DesiredUnit, Observed } from '../shared/state.ts';
import type { Diff } from './diff.ts';
import { type StartConditions, servicesUp } from './start-conditions.ts';
import { TurnKeeper, type TurnKeeperOptions } from './turns.ts';

export interface OrderedStartsOptions extends TurnKeeperOptions {
  /** A service came up here, or went down: what waits for it is to be looked at. */
  readonly onChange: () => void;
}

export interface OrderedStartsPass {
  readonly desired: readonly DesiredUnit[];
  readonly report: Observed | undefined;
  readonly busy: ReadonlySet<string>;
  /** systemd can be asked. */
  readonly canStart: boolean;
}

const NONE: ReadonlySet<string> = new Set();

export class OrderedStarts {
  private readonly turns: TurnKeeper;
  /** What `after` with `same-host` needs. */
  private runningHere = NONE;

  constructor(private readonly options: OrderedStartsOptions) {
    this.turns = new TurnKeeper(options);
  }

  /** For `diff()`; `stale`: as there. */
  conditions(desired: readonly DesiredUnit[], stale: boolean): StartConditions {
    return { turns: this.turns.states(desired), runningHere: this.runningHere, stale };
  }

  /** As `TurnKeeper.mayAsk`. */
  mayAsk(unit: DesiredUnit): boolean {
    return this.turns.mayAsk(unit);
  }

  /** When the next turn has lasted too long; undefined: there is none. */
  get wakeAt(): number | undefined {
    return this.turns.wakeAt;
  }

  /** What follows from a pass: the decision, and the newest report. `busy`: units with something of ours under way. */
  follow(
    { turnsWanted, actions }: Pick<Diff, 'turnsWanted' | 'actions'>,
    { desired, report, busy, canStart }: OrderedStartsPass,
  ): void {
    // where nothing can be started nobody is kept waiting
    const wanted = canStart ? turnsWanted : NONE;
    this.turns.update({ wanted, actions }, desired, report, busy);
    const runningHere = servicesUp(desired, report?.units ?? []);
    if ([...runningHere].join() !== [...this.runningHere].join()) this.options.onChange();
    this.runningHere = runningHere;
  }

  /** Nothing is started any more. */
  end(): void {
    this.turns.end();
  }
}
