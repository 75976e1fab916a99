/**
 * Uses the least-loaded broker registered as `mqtt`, and the next one when that is gone. usage: subscriber.js NAME [ZOOKEEPER]
 */
import { createPicker, hosts, type LabelOptions, type Server } from 'servicewatcher/client';

const [client = 'subscriber', servers = '127.0.0.1:2181'] = process.argv.slice(2);
const brokers: LabelOptions = { servers, label: 'mqtt' };

console.log(`brokers: ${(await hosts(brokers)).map(({ id }) => id).join(', ')}`);

const picker = createPicker({
  ...brokers,
  client,
  onLog: (level, message) => {
    if (level !== 'debug' && level !== 'info') console.error(`${level}: ${message}`);
  },
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void picker.close());

for await (const broker of picker) use(broker);
console.log('closed: this client counts no more');

/** With mqtt.js, say: end the connection to the last broker, and connect to this one. */
function use({ address, port = 1883, info }: Server): void {
  const zone = typeof info?.zone === 'string' ? ` in zone ${info.zone}` : '';
  console.log(`using mqtt://${address}:${port}${zone}`);
}
