/** The templates of a configuration file, as far as they are on this machine: whether each can be rendered at all. */
import { templateMistake } from '../discovery/template-render.ts';
import { readSource } from '../discovery/template-runner.ts';
import type { Config, ConfigProblem } from '../shared/config/config.ts';

/** Of a template instead of the configuration file. */
export interface TemplateProblem extends ConfigProblem {
  readonly file: string;
}

export interface TemplateFindings {
  /** No host can render it. */
  readonly problems: readonly TemplateProblem[];
  /** This host would have to render it, and it is not there, or cannot be read by whoever asks. */
  readonly warnings: readonly TemplateProblem[];
}

/** Looks at each file once. Never rejects. */
export async function checkTemplates({ spec, host }: Config): Promise<TemplateFindings> {
  const problems: TemplateProblem[] = [];
  const warnings: TemplateProblem[] = [];
  const templates = spec.templates ?? [];
  for (const file of new Set(templates.map(({ source }) => source))) {
    const read = await readSource(file);
    if (read.ok) {
      const mistake = await templateMistake(read.text);
      if (mistake) problems.push({ file, ...mistake });
    } else if (templates.some(({ source, on }) => source === file && hasLabels(host.labels, on.labels)))
      warnings.push({ file, line: 0, column: 0, message: `this template cannot be rendered here: ${read.problem}` });
  }
  return { problems, warnings };
}

/** Whether a service that it asks for, too, will be here is not known. */
function hasLabels(own: Readonly<Record<string, string>>, asked: Readonly<Record<string, string>> = {}): boolean {
  return Object.entries(asked).every(([name, value]) => Object.hasOwn(own, name) && own[name] === value);
}
