/** Reads a configuration file from disk. */
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { messageOf } from '../error-text.ts';
import type { ParsedConfig } from './config.ts';
import { parseConfig } from './parse-config.ts';

/**
 * Reads and validates `file`. A file that cannot be read is a problem like any other: this never rejects.
 * `host.name` defaults to this machine's hostname.
 */
export async function loadConfig(file: string): Promise<ParsedConfig> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    return refused(`cannot be read: ${reason(error)}; name an existing, readable file with --config`);
  }
  let source: string;
  try {
    source = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return refused('is not UTF-8 text; save it as UTF-8');
  }
  return parseConfig(source, file, hostname());
}

function reason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'ENOENT':
      return 'there is no such file';
    case 'EACCES':
      return 'permission denied';
    case 'EISDIR':
      return 'it is a directory';
    default:
      return messageOf(error);
  }
}

function refused(message: string): ParsedConfig {
  return { ok: false, problems: [{ line: 0, column: 0, message }] };
}
