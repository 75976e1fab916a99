/** Addresses: the servers of ZooKeeper, znode paths, and where HTTP listens. */
import { isIPv6 } from 'node:net';
import { isHostName } from '../names.ts';
import type { HttpConfig } from './config.ts';
import { readPort } from './scalars.ts';

/** ZooKeeper's client port. */
const DEFAULT_PORT = 2181;

export type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

export interface Quorum {
  readonly servers: readonly string[] | 'embedded';
  /** What followed the servers, as in `h1:2181,h2:2181/path`. */
  readonly chroot?: string;
}

/** `h1:2181,h2:2181`, with spaces, without ports and with a chroot behind it if need be; or `embedded`. */
export function readQuorum(text: string): Read<Quorum> {
  const trimmed = text.trim();
  if (trimmed === 'embedded') return { ok: true, value: { servers: 'embedded' } };
  const slash = trimmed.indexOf('/');
  const list = slash < 0 ? trimmed : trimmed.slice(0, slash);
  const servers: string[] = [];
  for (const part of list.split(',')) {
    const server = readServer(part);
    if (!server.ok) return server;
    servers.push(server.value);
  }
  const path = slash < 0 ? '/' : trimmed.slice(slash);
  if (path === '/') return { ok: true, value: { servers } };
  const chroot = readChroot(path);
  return chroot.ok ? { ok: true, value: { servers, chroot: chroot.value } } : chroot;
}

/** `h1` or `h1:2181` → `h1:2181`. */
export function readServer(text: string): Read<string> {
  const server = text.trim();
  if (server.includes('[') || server.split(':').length > 2) {
    return {
      ok: false,
      problem: `${server} looks like an IPv6 address, which is not supported here; write a host name that resolves to it, as host:port`,
    };
  }
  const [host = '', port] = server.split(':');
  if (!isHostName(host)) {
    return { ok: false, problem: `${quote(server)} is not a server; write host:port, several parted by commas` };
  }
  if (port === undefined) return { ok: true, value: `${host}:${DEFAULT_PORT}` };
  const number = readPort(port);
  if (number === undefined)
    return { ok: false, problem: `${quote(server)} has no port from 1 to 65535 after its colon` };
  return { ok: true, value: `${host}:${number}` };
}

/** An absolute znode path: printable ASCII, no empty part, no `.` or `..`, not ZooKeeper's own. */
export function readChroot(text: string): Read<string> {
  if (!/^(\/[\x21-\x2e\x30-\x7e]+)+$/.test(text) || text.length > 200) {
    return {
      ok: false,
      problem: `${quote(text)} is not a znode path; write an absolute one such as /servicewatcher, without a slash at its end`,
    };
  }
  const parts = text.split('/').slice(1);
  if (parts.includes('.') || parts.includes('..')) {
    return { ok: false, problem: `${quote(text)} has a part . or .., which ZooKeeper refuses` };
  }
  if (parts[0] === 'zookeeper') {
    return { ok: false, problem: `${quote(text)} is reserved for ZooKeeper itself; choose another path` };
  }
  return { ok: true, value: text };
}

/** `:9780`, `127.0.0.1:9780`, `[::1]:9780`, `name:9780` or a bare port. */
export function readListen(text: string): HttpConfig | undefined {
  const match = /^(?:(?:\[(?<v6>[^\]]+)\]|(?<host>[^:]*)):)?(?<port>\d+)$/.exec(text.trim());
  const port = readPort(match?.groups?.port ?? '');
  if (port === undefined) return undefined;
  const v6 = match?.groups?.v6;
  if (v6 !== undefined) return isIPv6(v6) ? { host: v6, port } : undefined;
  const host = match?.groups?.host ?? '';
  if (host === '' || host === '*') return { host: undefined, port };
  return isHostName(host) ? { host, port } : undefined;
}

/** Text in a message: quoted when it is empty or has spaces, cut when it is long. */
export function quote(text: string): string {
  const short = text.length > 60 ? `${text.slice(0, 57)}…` : text;
  return short === '' || /\s/.test(short) ? JSON.stringify(short) : short;
}
