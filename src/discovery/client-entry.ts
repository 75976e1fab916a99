/**
 * The children of `clients/<label>`: an ephemeral `<client>=<server>` for each client that counts, so that one list of
 * names tells the load of every server, and an ephemeral sequential `turn-<who>-<number>` for whoever is about to choose.
 */
import * as z from 'zod';
import { type Decoded, decodePayload, encodePayload } from '../shared/payloads.ts';
import type { Client } from './choose.ts';

const CLIENT = /^[A-Za-z0-9_.:@-]{1,100}$/;
const TURN = /^turn-([0-9a-f-]{36})-(-?\d{10})$/;

/** True for what may name a client: safe as a part of a znode path. */
export function isClientId(client: string): boolean {
  return CLIENT.test(client);
}

export function entryName({ client, server }: Client): string {
  return `${client}=${server}`;
}

/** The clients among the names of the children; what is none is left out. */
export function clientsAmong(names: readonly string[]): Client[] {
  return names.flatMap((name) => {
    const at = name.indexOf('=');
    return at > 0 ? [{ client: name.slice(0, at), server: name.slice(at + 1) }] : [];
  });
}

/** One that waits for its turn, or has it. */
export interface Turn {
  readonly name: string;
  /** A UUID of the process's own making. */
  readonly who: string;
  readonly number: number;
}

/** What ZooKeeper shall append the number to. */
export const turnPrefix = (who: string): string => `turn-${who}-`;

/** The turns among the names of the children, in their order. */
export function turnsAmong(names: readonly string[]): Turn[] {
  const turns = names.flatMap((name) => {
    const [, who, number] = TURN.exec(name) ?? [];
    return who === undefined ? [] : [{ name, who, number: Number(number) }];
  });
  return turns.sort((a, b) => compareNumbers(a.number, b.number));
}

/** ZooKeeper's numbers are int32 and go on at the lowest after the highest; those in use lie close together. */
export function compareNumbers(a: number, b: number): number {
  return (a - b) | 0;
}

/** What a client's process says of itself takes far less. */
const MAX_BYTES = 4 * 1024;

const schema = z.object({ client: z.string(), server: z.string(), by: z.string() });

/** What an entry holds. `by`: the process that it counts for, for people: `w1, process 812`. */
export type ClientEntry = z.infer<typeof schema>;

export const encodeClientEntry = (value: ClientEntry): Buffer => encodePayload(value);
/** Never throws; `path` is what the problem calls the payload. */
export const decodeClientEntry = (data: Buffer, path: string): Decoded<ClientEntry> =>
  decodePayload(schema, data, path, MAX_BYTES);
