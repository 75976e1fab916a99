/**
 * What the daemon of this host runs with, as it says over HTTP: where its file is bad, it runs on with what it read last. Only
 * a daemon that listens where it does by default is found, and only what it has read from the same file counts.
 */
import { resolve } from 'node:path';
import * as z from 'zod';
import { readChroot, readServer } from '../shared/config/endpoints.ts';
import { MAX_SESSION_TIMEOUT_MS } from '../shared/config/isolation.ts';
import type { ClusterAccess } from './session.ts';

/** `http.listen`, where a file does not say otherwise. */
const STATUS_URL = 'http://127.0.0.1:9780/status';
/** On one machine a daemon answers in milliseconds. */
const DEADLINE_MS = 1_000;
/** The report of a host, which makes up most of an answer, has less than 1 MiB. */
const MAX_BYTES = 4 * 1024 * 1024;

const schema = z.object({
  configuration: z.object({
    file: z.string(),
    zookeeper: z.object({
      servers: z.array(z.string().refine((server) => readServer(server).ok)).min(1),
      chroot: z.string().refine((path) => readChroot(path).ok),
      sessionTimeoutMs: z.int().min(1).max(MAX_SESSION_TIMEOUT_MS),
    }),
  }),
});

/** Undefined: no daemon of this file answers, or not in time. Never rejects. */
export async function runningConfig(
  file: string,
  { url = STATUS_URL, deadlineMs = DEADLINE_MS } = {},
): Promise<ClusterAccess | undefined> {
  const answer = schema.safeParse(await readJson(url, deadlineMs).catch(() => undefined));
  if (!answer.success || answer.data.configuration.file !== resolve(file)) return undefined;
  return { file, zookeeper: answer.data.configuration.zookeeper };
}

async function readJson(url: string, deadlineMs: number): Promise<unknown> {
  const { body } = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(deadlineMs) });
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new Error(`${url} answers more than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString());
}
