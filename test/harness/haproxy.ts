/** Debian's HAProxy, for tests and benchmarks: it listens on port 80, and its servers are those that a template lists. */

export const HAPROXY = 'haproxy.service';
export const HAPROXY_CONFIG = '/etc/haproxy/haproxy.cfg';

/** A template of its file; `services`: what `{{#each …}}` goes through. */
export function haproxyTemplate(services: string): string {
  return `global
  maxconn 100
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend web
  bind :80
  default_backend web
backend web
{{#each ${services}}}
  server {{id}} {{address}}:{{port}}
{{/each}}
`;
}

/** The servers of its file, in its order; `at`: address and port. */
export function serversOf(file: string): { readonly id: string; readonly at: string }[] {
  return [...file.matchAll(/^ {2}server (\S+) (\S+)$/gm)].map(([, id = '', at = '']) => ({ id, at }));
}
