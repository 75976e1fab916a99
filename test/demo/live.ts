/** The demo for a person: the status table, kept up to date, until Ctrl-C. */
import { once } from 'node:events';
import { startCluster, statusTable } from './cluster.ts';
import { refuseSecondDemo, serveCommands } from './control.ts';

const REFRESH_MS = 1000;
const CLEAR_SCREEN = '\x1b[2J\x1b[H';

const HINTS = `Try, from another terminal in this folder:
  npm run demo -- fail w1 dummy_shared     a unit fails: it runs elsewhere
  npm run demo -- reset w1 dummy_shared    and w1 may run it again
  npm run demo -- off w3                   a host loses its power
  npm run demo -- on w3                    and comes back
  npm run demo -- off zk1                  a ZooKeeper server dies
  npm run demo -- sh w1 journalctl -u servicewatcher
Ctrl-C ends the demo and removes all of it.`;

/** Boots, shows, and stays until `stop` is aborted. Leaves nothing behind. */
export async function runLive(stop: AbortSignal): Promise<void> {
  await refuseSecondDemo();
  console.log('Booting 3 hosts and 3 ZooKeeper servers, and starting ServiceWatcher on each host …');
  const lab = await startCluster();
  const stopServing = await serveCommands(lab).catch(async (error: unknown) => {
    await lab.destroy();
    throw error;
  });
  try {
    // Registered once, before the loop: an abort that came earlier ends the loop by itself.
    const stopped = once(stop, 'abort');
    let shown = '';
    while (!stop.aborted) {
      // A host may be cut off in the middle of its answer.
      const table = await statusTable(lab).catch((error: unknown) => `${String(error)}\n`);
      if (table !== shown && !stop.aborted) {
        console.log(`${process.stdout.isTTY ? CLEAR_SCREEN : ''}${table}\n${HINTS}`);
        shown = table;
      }
      await Promise.race([new Promise((resolve) => setTimeout(resolve, REFRESH_MS)), stopped]);
    }
  } finally {
    stopServing();
    await lab.destroy();
  }
  console.log('\nThe demo is removed.');
}
