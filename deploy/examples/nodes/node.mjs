// /usr/local/lib/nodes/node.mjs: a node of a search cluster. It looks for the others when it starts, and joins them; where
// it finds nobody it begins a cluster of its own. Two that begin at the same time have split the cluster: a node that finds
// members of two clusters says so and ends with exit status 1.
//
// usage: node.mjs NAME PORTS URL | node.mjs NAME PORTS COMMAND…
// NAME is two digits; a node's port is PORTS, the same for all, with its name behind. URL or COMMAND answers who is
// registered, as JSON.
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';

const [name, ports, ...source] = process.argv.slice(2);
/** How long it takes until it answers 200, ms: shards, caches, and so on. */
const WARM_UP_MS = 300;
/** How often a node that has begun a cluster looks whether another one has, too, and how long before each look, ms. */
const LOOKS = 3;
const LOOK_AFTER_MS = 1_000;
/** How long another node may take to answer, ms. */
const ANSWER_MS = 5_000;

/** CLOCK_MONOTONIC, ms. */
const now = () => Number(process.hrtime.bigint()) / 1e6;
const began = now();
const members = new Set([name]);
let cluster;
let saw = [];
let healthyAt;

createServer((request, response) => {
  const joining = /^\/join\/(\d\d)$/.exec(request.url ?? '')?.[1];
  if (joining !== undefined && cluster !== undefined) members.add(joining);
  response.writeHead(healthyAt === undefined && joining === undefined ? 503 : 200, {
    'content-type': 'application/json',
  });
  response.end(JSON.stringify({ name, cluster, saw, members: [...members].sort(), began, healthyAt }));
}).listen(Number(ports + name));

const found = await others();
saw = found.map(nameOf).sort();
if (found.length === 0) {
  cluster = randomUUID();
  console.log(`node ${name} finds nobody: it begins the cluster ${cluster}`);
} else {
  compare(await Promise.all(found.map((entry) => ask(entry, `/join/${name}`))));
  console.log(`node ${name} finds ${saw.join(', ')}, and joins the cluster ${cluster}`);
}
setTimeout(() => {
  healthyAt = now();
}, WARM_UP_MS);
for (let look = 0; found.length === 0 && look < LOOKS; look += 1) {
  await new Promise((resolve) => setTimeout(resolve, LOOK_AFTER_MS));
  const answers = await Promise.allSettled((await others()).map((entry) => ask(entry, '/')));
  compare(answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : [])));
}

/** Takes over what the others say; ends this process if they, or they and this node, are of two clusters. */
function compare(answers) {
  for (const other of answers) {
    if (other.cluster === undefined) continue;
    cluster ??= other.cluster;
    if (cluster !== other.cluster) {
      console.error(`split brain: node ${other.name} is of the cluster ${other.cluster}, others are of ${cluster}`);
      process.exit(1);
    }
    for (const member of other.members) members.add(member);
  }
}

/** Everybody who is registered but this node. */
async function others() {
  const [first, ...args] = source;
  const text = first.startsWith('http') ? await (await fetch(first)).text() : await output(first, args);
  return JSON.parse(text).filter((entry) => nameOf(entry) !== name);
}

/** Ids end in the key of the unit, or in what `--service-id` said: `w1:03`. */
function nameOf(entry) {
  return entry.id.slice(-2);
}

async function ask(entry, path) {
  const url = `http://${entry.address}:${ports}${nameOf(entry)}${path}`;
  return (await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) })).json();
}

/** What a command prints, whatever its exit status: `hosts` answers 1 when there is nobody. */
function output(command, args) {
  return new Promise((resolve, reject) => {
    execFile(command, args, (error, stdout, stderr) => {
      if (stdout === '') reject(new Error(`${command} said nothing: ${error?.message ?? ''} ${stderr}`));
      else resolve(stdout);
    });
  });
}
