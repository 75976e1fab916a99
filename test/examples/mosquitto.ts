/**
 * The story of deploy/examples/mosquitto: clients publish, lose their broker, by SIGKILL, with its host, in good order, and
 * go on with another.
 */
import { CLIENTS, type Loss, MosquittoExample } from './mosquitto-cluster.ts';
import type { Count } from './mqtt-ledger.ts';

/** Plays it all; see `RunExample`. */
export async function run(stop: AbortSignal, print: (line: string) => void): Promise<void> {
  print('Booting 4 hosts and 3 ZooKeeper servers; installing the files of deploy/examples/mosquitto');
  const example = await MosquittoExample.start();
  const end = () => void example.destroy();
  stop.addEventListener('abort', end, { once: true });
  try {
    stop.throwIfAborted();
    await play(example, print);
  } finally {
    stop.removeEventListener('abort', end);
    await example.destroy();
  }
}

async function play(example: MosquittoExample, print: (line: string) => void): Promise<void> {
  const quiet = async () => {
    await example.untilWhole();
    const counted = await example.quiet();
    print(`  ${sentence(counted)}`);
    must(counted.repeated === 0, 'a message came more than once while nothing happened');
  };
  print(`Brokers: ${(await example.untilBrokers(3)).join(', ')}, a mesh by the template mesh.tpl`);
  await example.startClients();
  const loads = await example.loads();
  print(`Five clients came at the same moment. Clients of each broker: ${show(loads)}`);
  must(Math.max(...Object.values(loads)) - Math.min(...Object.values(loads)) <= 1, 'they are not spread evenly');
  await quiet();

  const killed = await example.busiest();
  print(`SIGKILL to the broker of ${killed}`);
  tell(await example.kill(killed), print);
  print(`Brokers: ${(await example.untilBrokers(3)).join(', ')}; ServiceWatcher has started another one`);
  await quiet();

  await example.forgive(killed);
  const off = await example.busiest();
  print(`${off} loses its power; what ${killed} failed with is forgiven, so it may have a broker again`);
  tell(await example.powerOff(off), print);
  print(`Brokers: ${(await example.untilBrokers(3)).join(', ')}`);
  await quiet();

  print('count: 2 in the configuration, and a reload: one broker is stopped in good order');
  await example.setNumber(2);
  print(`Brokers: ${(await example.untilBrokers(2)).join(', ')}`);
  await quiet();
  print(`Clients of each broker: ${show(await example.loads())}`);
  await example.stopClients();
  const { sent, confirmed, received, missing, lost, repeated } = await example.total();
  print(`In all: ${sent} messages published, ${confirmed} confirmed by a broker, received ${received} times.`);
  print(
    `  ${missing - lost} were missed by a client without a broker, ${lost} by others; ${repeated} came more than once`,
  );
}

function must(condition: boolean, otherwise: string): void {
  if (!condition) throw new Error(otherwise);
}

function tell({ without, loads }: Loss, print: (line: string) => void): void {
  for (const [client, ms] of Object.entries(without)) print(`  ${client} was without a broker for ${ms} ms`);
  print(`  Clients of each broker: ${show(loads)}`);
}

const show = (loads: Readonly<Record<string, number>>) =>
  Object.entries(loads)
    .map(([broker, clients]) => `${broker} ${clients}`)
    .join(', ');

function sentence({ sent, received, missing, repeated }: Count): string {
  return `${sent} messages: received ${received} times by ${CLIENTS.length} clients, ${missing} missing, ${repeated} more than once`;
}
