/**
 * An MQTT client that uses the least-loaded broker, and the next one as soon as that is gone. It publishes ten numbers a
 * second, hears what all of them publish, and prints a line for each. usage: client.js NAME [ZOOKEEPER]
 */
import { createConnection } from 'node:net';
import { MqttClient } from 'mqtt';
import { createPicker, type Server } from 'servicewatcher/client';

const [name = 'c1', servers = 'zk1:2181,zk2:2181,zk3:2181'] = process.argv.slice(2);

const picker = createPicker({
  servers,
  label: 'mqtt',
  client: name,
  onLog: (level, message) => {
    if (level !== 'debug') say('note', message);
  },
});

/** The time in front: ms of the clock that systemd stamps its units with. */
function say(...words: readonly unknown[]): void {
  console.log(String(process.hrtime.bigint() / 1_000_000n), ...words);
}

async function main(): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void picker.close());
  let station: Station | undefined;
  for await (const broker of picker) {
    say('broker', broker.id);
    if (station) station.moveTo(broker);
    else station = new Station(broker);
  }
  await station?.close();
}

/** One MQTT client for good: what no broker has confirmed yet goes with it from broker to broker. */
class Station {
  private readonly mqtt: MqttClient;
  private readonly timer: NodeJS.Timeout;
  private number = 0;

  constructor(private broker: Server) {
    // asked anew for each connection: whom to connect to
    const connect = () => createConnection(this.broker.port ?? 1883, this.broker.address);
    const options = { clientId: name, reconnectPeriod: 100, connectTimeout: 2_000, resubscribe: false };
    this.mqtt = new MqttClient(connect, options);
    this.mqtt.on('connect', () => this.subscribe());
    this.mqtt.on('close', () => say('disconnected'));
    // refused, say, while its broker is gone and another one is being chosen: it tries again by itself
    this.mqtt.on('error', (error) => say('note', error.message));
    this.mqtt.on('message', (_topic, payload) => say('received', payload.toString()));
    this.timer = setInterval(() => this.publish(++this.number), 100);
  }

  moveTo(broker: Server): void {
    this.broker = broker;
    this.mqtt.stream.destroy();
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    await this.mqtt.endAsync(true);
  }

  /** Anew at each broker. here/ is what was published at the same one, there/ at another. */
  private subscribe(): void {
    const { id } = this.broker;
    this.mqtt.subscribe('+/rooms/#', { qos: 1 }, (error) => {
      if (!error) say('connected', id);
    });
  }

  private publish(number: number): void {
    say('sent', number);
    this.mqtt.publish(`here/rooms/${name}`, `${name} ${number}`, { qos: 1 }, (error) => {
      if (!error) say('confirmed', number);
    });
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
