/** `servicewatcher render`: what a template of this host would come to at this moment. Nothing is checked or reloaded. */
import { writeFile } from 'node:fs/promises';
import { renderTemplate } from '../discovery/template-render.ts';
import { readSource } from '../discovery/template-runner.ts';
import { TemplateFacts } from '../discovery/template-sources.ts';
import { delay, systemClock } from '../shared/clock.ts';
import { messageOf } from '../shared/error-text.ts';
import { createLogger, escapeControl } from '../shared/log.ts';
import { EXIT, readConfig, withStore } from './session.ts';

export interface RenderOptions {
  /** Prints `{"template", "data", "text"}`: what a template may use, and what came of this one. */
  readonly json: boolean;
  readonly out?: string;
}

/** How long all of the cluster may take to be read. */
const READ_DEADLINE_MS = 10_000;

/** Answers 0; 1 when the template is wrong or `out` cannot be written; 2 and 3 as all commands do. */
export async function render(config: string, file: string, { json, out }: RenderOptions): Promise<number> {
  const source = await readSource(file);
  if (!source.ok) return fail(source.problem);
  const read = await readConfig(config);
  if (!read) return EXIT.usage;
  return withStore(read, async (store) => {
    const log = createLogger({
      write: (line) => process.stderr.write(`${line}\n`),
      format: 'terminal',
      debug: false,
    });
    const done = new AbortController();
    const onChange = () => {
      if (facts.data) done.abort(new Error('it was read'));
    };
    const { name: host, address = host } = read.host;
    const options = { host, address: () => address, store, clock: systemClock, log, onChange };
    const facts = new TemplateFacts(options, 'all');
    await delay(systemClock, READ_DEADLINE_MS, done.signal).catch(() => undefined);
    const { data } = facts;
    facts.close();
    if (!data) {
      process.stderr.write('what is registered and placed could not be read: ZooKeeper did not answer in time\n');
      return EXIT.unreachable;
    }
    const rendered = await renderTemplate(file, source.text, data);
    if (!rendered.ok) return fail(rendered.problem);
    const text = json ? `${JSON.stringify({ template: file, data, text: rendered.text })}\n` : rendered.text;
    try {
      if (out === undefined) process.stdout.write(text);
      else await writeFile(out, text);
    } catch (error) {
      return fail(`${out} could not be written: ${messageOf(error)}`);
    }
    return EXIT.ok;
  });
}

function fail(problem: string): number {
  process.stderr.write(`${escapeControl(problem)}\n`);
  return EXIT.no;
}
