/** Stands in for `node:fs/promises` in the simulation: files of one process, in memory, and no real time. */
const files = new Map<string, string>();

function missing(path: string): Error {
  return Object.assign(new Error(`ENOENT: no such file or directory, ${path}`), { code: 'ENOENT' });
}

export async function readdir(folder: string): Promise<string[]> {
  const prefix = `${folder}/`;
  return [...files.keys()].flatMap((path) => (path.startsWith(prefix) ? [path.slice(prefix.length)] : []));
}

export async function rm(path: string): Promise<void> {
  files.delete(path);
}

export async function writeFile(path: string, text: string): Promise<void> {
  files.set(path, text);
}

export async function readFile(path: string): Promise<string> {
  const text = files.get(path);
  if (text === undefined) throw missing(path);
  return text;
}

export async function rename(from: string, to: string): Promise<void> {
  files.set(to, await readFile(from));
  files.delete(from);
}

export async function mkdir(): Promise<void> {}
