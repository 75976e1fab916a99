/** `servicewatcher check FILE`: says whether a configuration file, and the templates that it names, are right, without touching anything. */
import { type Config, type ParsedConfig, renderProblem, renderWarning } from '../shared/config/config.ts';
import { loadConfig } from '../shared/config/load-config.ts';
import { escapeControl } from '../shared/log.ts';
import { unitsOf } from '../shared/names.ts';
import type { Service } from '../shared/spec.ts';
import { checkTemplates, type TemplateFindings, type TemplateProblem } from './check-templates.ts';

/** Where text goes: `process.stdout` is one. */
export interface TextSink {
  write(text: string): unknown;
}

export interface CheckOptions {
  /** Prints one JSON object to `stdout` instead of text. */
  readonly json?: boolean;
  readonly stdout?: TextSink;
  readonly stderr?: TextSink;
}

/**
 * Prints a summary of what the file declares, or its problems, one per line, as `FILE:LINE:COLUMN: message`; those of
 * the templates that are on this machine, too. Answers the exit code: 0 when all is right (there may be warnings), 2 when
 * it is not. Never rejects.
 */
export async function check(file: string, options: CheckOptions = {}): Promise<0 | 2> {
  const { json = false, stdout = process.stdout, stderr = process.stderr } = options;
  const parsed = await loadConfig(file);
  const templates = parsed.ok ? await checkTemplates(parsed.config) : { problems: [], warnings: [] };
  const isRight = parsed.ok && templates.problems.length === 0;
  if (json) stdout.write(`${JSON.stringify(toJson(file, parsed, templates), null, 2)}\n`);
  else if (parsed.ok) {
    for (const warning of parsed.warnings) stderr.write(`${renderWarning(file, warning)}\n`);
    for (const warning of templates.warnings) stderr.write(`${told(warning)} (warning)\n`);
    for (const problem of templates.problems) stderr.write(`${told(problem)}\n`);
    if (isRight) stdout.write(summary(parsed.config));
  } else {
    for (const problem of parsed.problems) stderr.write(`${renderProblem(file, problem)}\n`);
  }
  return isRight ? 0 : 2;
}

/** A template may be any file, and hold anything. */
function told(problem: TemplateProblem): string {
  return escapeControl(renderProblem(problem.file, problem));
}

function summary(config: Config): string {
  const { services, templates = [], hooks = [] } = config.spec;
  const byType = (type: Service['type']): number => services.filter((service) => service.type === type).length;
  const disabled = services.filter((service) => !service.enabled).length;
  const units = services.reduce((sum, service) => sum + unitsOf(service).length, 0);
  const servers = config.zookeeper.servers === 'embedded' ? 'embedded' : config.zookeeper.servers.join(',');
  return [
    `${config.file}: ok`,
    `services: ${services.length} (${byType('global')} global, ${byType('shared')} shared, ${byType('multi')} multi; ${disabled} disabled)`,
    `units: ${units}`,
    ...(templates.length > 0 ? [`templates: ${templates.length}`] : []),
    ...(hooks.length > 0 ? [`hooks: ${hooks.length}`] : []),
    `zookeeper: ${servers}, below ${config.zookeeper.chroot}`,
    `spec: ${config.specDigest}`,
    '',
  ].join('\n');
}

function toJson(file: string, parsed: ParsedConfig, templates: TemplateFindings): object {
  if (!parsed.ok) return { ok: false, file, problems: parsed.problems };
  if (templates.problems.length > 0) return { ok: false, file, problems: templates.problems };
  const { config, warnings } = parsed;
  return {
    ok: true,
    file,
    warnings: [...warnings, ...templates.warnings],
    spec: config.specDigest,
    zookeeper: { servers: config.zookeeper.servers, chroot: config.zookeeper.chroot },
    services: config.spec.services.map((service) => ({
      name: service.name,
      type: service.type,
      enabled: service.enabled,
      units: unitsOf(service),
    })),
    templates: (config.spec.templates ?? []).map(({ source, destination }) => ({ source, destination })),
    hooks: (config.spec.hooks ?? []).map(({ events, run }) => ({ events, run })),
  };
}
