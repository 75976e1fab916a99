/** Where the HTTP interface listens. */
import type { FastifyInstance } from 'fastify';

export interface ListenOptions {
  /** Undefined: all addresses, IPv6 and IPv4 alike, or IPv4 alone where the kernel has no IPv6. */
  readonly host: string | undefined;
  readonly port: number;
  /** The configuration file that says so, for the message. */
  readonly file: string;
}

/** Rejects when the address cannot be had; the message says what to do where that is known. */
export async function listen(http: FastifyInstance, { host, port, file }: ListenOptions): Promise<void> {
  try {
    await http.listen({ port, host: host ?? '::' });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (host === undefined && code === 'EAFNOSUPPORT') await http.listen({ port, host: '0.0.0.0' });
    else if (code !== 'EADDRINUSE') throw error;
    else
      throw new Error(
        `port ${port} (http.listen in ${file}) is in use: is another servicewatcher running on this host?`,
      );
  }
}
