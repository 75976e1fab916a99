/** Collects everything that is wrong or doubtful in one file, by place. */
import { byPosition, type ConfigProblem } from './config.ts';
import { keyOffset, type Located, type LocatedDocument, locate } from './located.ts';

/** Path of a value in the file, as in `['services', 2, 'count']`. */
export type Path = readonly PropertyKey[];

export class Findings {
  readonly root: Located;
  readonly #at: LocatedDocument['at'];
  readonly #problems = new Map<string, ConfigProblem>();
  readonly #warnings = new Map<string, ConfigProblem>();
  readonly #brokenServices = new Set<number>();

  constructor(document: LocatedDocument) {
    this.root = document.root;
    this.#at = document.at;
    for (const warning of document.warnings) add(this.#warnings, warning);
  }

  /** At the value of `path`, or at the nearest one above it that exists. */
  problem(path: Path, message: string): void {
    this.#blame(path);
    this.problemAt(locate(this.root, path).start, message);
  }

  /** At the key that `path` ends in. */
  problemAtKey(path: Path, message: string): void {
    this.#blame(path);
    this.problemAt(keyOffset(this.root, path), message);
  }

  problemAt(offset: number, message: string): void {
    add(this.#problems, this.#at(offset, message));
  }

  /** About the file as a whole. */
  problemOfFile(message: string): void {
    add(this.#problems, { line: 0, column: 0, message });
  }

  warning(path: Path, message: string): void {
    this.warningAt(locate(this.root, path).start, message);
  }

  warningAtKey(path: Path, message: string): void {
    this.warningAt(keyOffset(this.root, path), message);
  }

  warningAt(offset: number, message: string): void {
    add(this.#warnings, this.#at(offset, message));
  }

  /** Indices of the services with problems so far: what those declare is not certain. */
  get brokenServices(): ReadonlySet<number> {
    return this.#brokenServices;
  }

  /** Line of the value of `path`. */
  lineOf(path: Path): number {
    return this.#at(locate(this.root, path).start, '').line;
  }

  /** True when the file has something other than nothing, `~` or `null` there, valid or not. */
  present(path: Path): boolean {
    const parent = locate(this.root, path.slice(0, -1));
    if (parent.kind !== 'map') return false;
    const entry = parent.entries.get(String(path.at(-1)));
    return entry !== undefined && entry.value.kind !== 'empty';
  }

  /** Sorted by position; a value that is used several times through an alias is reported once. */
  problems(): ConfigProblem[] {
    return [...this.#problems.values()].sort(byPosition);
  }

  warnings(): ConfigProblem[] {
    return [...this.#warnings.values()].sort(byPosition);
  }

  #blame(path: Path): void {
    if (path[0] === 'services' && typeof path[1] === 'number') this.#brokenServices.add(path[1]);
  }
}

function add(into: Map<string, ConfigProblem>, problem: ConfigProblem): void {
  into.set(`${problem.line}:${problem.column}:${problem.message}`, problem);
}
