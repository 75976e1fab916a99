/** One look at whether an instance does its work: over HTTP, by a TCP connection, or by a program. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import type { Command, Probe } from '../shared/attachments.ts';
import { messageOf } from '../shared/error-text.ts';
import { runCommand } from '../shared/run-command.ts';
import { lookupShared } from './lookup.ts';

/** `output`: what it said, at most `MAX_OUTPUT_BYTES`, without control characters. */
export type ProbeResult = { readonly ok: true } | { readonly ok: false; readonly output: string };

export const MAX_OUTPUT_BYTES = 1_024;
/** More of a body than this is not waited for: that so much comes is proof enough. */
const MAX_BODY_BYTES = 64 * 1_024;

const OK: ProbeResult = { ok: true };

/**
 * Looks once; `probe` has no placeholders left. Never rejects, and answers within `timeoutMs` (a program that has to be
 * killed may take 2 s more). When the signal is aborted it answers at once that it failed.
 */
export function runProbe(probe: Probe, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult> {
  switch (probe.kind) {
    case 'http':
      return probeHttp(probe.url, timeoutMs, signal);
    case 'tcp':
      return probeTcp(probe.address, timeoutMs, signal);
    case 'exec':
      return probeExec(probe.command, timeoutMs, signal);
  }
}

/** The text as it may be shown to people and kept: cut, and harmless for a terminal. */
export function toOutput(text: string): string {
  const bytes = Buffer.from(text.replace(/[\p{Cc}\p{Cs}]+/gu, ' ').trim());
  return new TextDecoder().decode(bytes.subarray(0, MAX_OUTPUT_BYTES), { stream: true });
}

function failed(text: string): ProbeResult {
  return { ok: false, output: toOutput(text) };
}

/** Calls `work` with a function that takes the first answer; `end` is called once there is one, by whatever way it came. */
function exchange(
  timeoutMs: number,
  signal: AbortSignal,
  work: (answer: (result: ProbeResult) => void) => { readonly end: () => void },
): Promise<ProbeResult> {
  return new Promise((resolve) => {
    let end = () => {};
    let answered = false;
    const answer = (result: ProbeResult) => {
      if (answered) return;
      answered = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      resolve(result);
      end();
    };
    const onAbort = () => answer(failed('given up'));
    const timer = setTimeout(() => answer(failed(`no complete answer within ${timeoutMs / 1_000} s`)), timeoutMs);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) return onAbort();
    try {
      end = work(answer).end;
    } catch (error) {
      answer(failed(messageOf(error)));
    }
    if (answered) end();
  });
}

/** Healthy: a 2xx, redirects not followed. Each probe has a connection of its own, so that none waits for another's. */
function probeHttp(url: string, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult> {
  return exchange(timeoutMs, signal, (answer) => {
    const target = new URL(url);
    // loaded when it is first asked for: TLS would stay in the memory of every daemon
    const request = target.protocol === 'https:' ? process.getBuiltinModule('node:https').request : httpRequest;
    const headers = { 'user-agent': 'servicewatcher', accept: '*/*', connection: 'close' };
    const asked = request(target, { agent: false, headers, lookup: lookupShared }, (response) =>
      read(response, answer),
    );
    asked.on('error', (error) => answer(failed(describe(error))));
    asked.on('close', () => answer(failed('the connection was closed before the answer was complete')));
    asked.end();
    return { end: () => asked.destroy() };
  });
}

function read(response: IncomingMessage, answer: (result: ProbeResult) => void): void {
  const { statusCode: code = 0, statusMessage = '' } = response;
  const isGood = code >= 200 && code < 300;
  const chunks: Buffer[] = [];
  let bytes = 0;
  const finish = () => {
    const body = Buffer.concat(chunks).toString('utf8');
    answer(isGood ? OK : failed(`HTTP ${code} ${statusMessage}${body === '' ? '' : `: ${body}`}`));
  };
  response.on('data', (chunk: Buffer) => {
    if (bytes < MAX_OUTPUT_BYTES) chunks.push(chunk.subarray(0, MAX_OUTPUT_BYTES));
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) finish();
  });
  response.on('end', finish);
  response.on('error', (error) => answer(failed(describe(error))));
}

/** Healthy: the connection is accepted. It is closed at once. */
function probeTcp(address: string, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult> {
  return exchange(timeoutMs, signal, (answer) => {
    const colon = address.lastIndexOf(':');
    const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
    const socket = connect({ host, port: Number(address.slice(colon + 1)), lookup: lookupShared });
    socket.on('connect', () => answer(OK));
    socket.on('error', (error) => answer(failed(describe(error))));
    return { end: () => socket.destroy() };
  });
}

/** Healthy: it exits with 0. */
async function probeExec(command: Command, timeoutMs: number, signal: AbortSignal): Promise<ProbeResult> {
  const result = await runCommand(command, { timeoutMs, signal, maxOutputBytes: MAX_OUTPUT_BYTES });
  switch (result.kind) {
    case 'exited':
      return result.code === 0 ? OK : failed(`exit status ${result.code}${said(result.output)}`);
    case 'killed':
      return failed(`ended by ${result.signal}${said(result.output)}`);
    case 'timeout':
      return failed(`still running after ${timeoutMs / 1_000} s${said(result.output)}`);
    case 'aborted':
      return failed('given up');
    case 'failed':
      return failed(`${command[0]} could not be started: ${result.why}`);
  }
}

function said(output: string): string {
  return output.trim() === '' ? '' : `: ${output}`;
}

/** Where a name has several addresses, and none answers, the error has no message but those of its parts. */
function describe(error: Error): string {
  if (error.message !== '' || !(error instanceof AggregateError)) return error.message || error.name;
  return [...new Set(error.errors.map(messageOf))].join('; ');
}
