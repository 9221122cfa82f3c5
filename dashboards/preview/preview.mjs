// Draws the dashboards from a running Prometheus: node preview.mjs [--prometheus URL] [--end UNIX] [--hours N] [--scrape SECONDS] [--target NAME] [--scale N] [--out DIR] [NAME...]
// Asks every query of every panel, serves the answers and the built page on loopback, and lets Chromium write a PNG of each dashboard.
import { execFile } from 'node:child_process';
import { createReadStream, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));
const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    prometheus: { type: 'string', default: 'http://127.0.0.1:9090' },
    end: { type: 'string', default: String(Math.floor(Date.now() / 1000)) },
    hours: { type: 'string', default: '168' },
    scrape: { type: 'string', default: '30' },
    target: { type: 'string' },
    scale: { type: 'string', default: '1' },
    out: { type: 'string', default: join(here, 'out/png') },
    chromium: { type: 'string', default: 'chromium' },
  },
});
const end = Number(flags.end), start = end - Number(flags.hours) * 3600;
// As Grafana does: about one point a pixel of a panel, and at least four scrapes for a rate.
const scrape = Number(flags.scrape);
const step = scrape * Math.max(1, Math.ceil((end - start) / 700 / scrape));
const rateInterval = Math.max(step + scrape, 4 * scrape);

if (!existsSync(join(here, 'out/app/index.html'))) throw new Error('build the page first: npm run build');
mkdirSync(join(here, 'out/data'), { recursive: true });
mkdirSync(flags.out, { recursive: true });

const names = positionals.length ? positionals : readdirSync(join(here, '..')).filter((f) => f.endsWith('.json')).map((f) => f.replace('.json', ''));
const server = createServer(serve);
await new Promise((done) => server.listen(0, '127.0.0.1', done));
let failed = 0;
for (const name of names) {
  const dashboard = JSON.parse(readFileSync(join(here, '..', `${name}.json`)));
  const variables = { target: name.endsWith('-target') ? (flags.target ?? (await firstTarget())) : '.*', user_type: 'internal', job: 'odoo-mfa-exporter', instance: '.*' };
  const answers = {};
  for (const panel of dashboard.panels) {
    answers[panel.id] = await Promise.all((panel.targets ?? []).map((t) => ask(panel, t, variables)));
  }
  const used = dashboard.templating.list.filter((v) => v.type === 'query').map((v) => `${v.label}: ${variables[v.name].replace('.*', 'All')}`);
  writeFileSync(join(here, `out/data/${name}.json`), JSON.stringify({ dashboard, answers, from: start, to: end, variables: used.join('   ') }));
  const height = 56 + 8 + 38 * Math.max(...dashboard.panels.map((p) => p.gridPos.y + p.gridPos.h));
  const file = join(flags.out, `${name}.png`);
  await promisify(execFile)(flags.chromium, [
    '--headless', '--hide-scrollbars', '--disable-gpu', ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
    `--window-size=1600,${height}`, `--force-device-scale-factor=${flags.scale}`, '--virtual-time-budget=20000', `--screenshot=${file}`,
    `http://127.0.0.1:${server.address().port}/app/index.html?page=${name}`,
  ]);
  console.log(file);
}
server.close();
process.exit(failed ? 1 : 0);

async function ask(panel, target, variables) {
  let expr = target.expr.replaceAll('$__rate_interval', `${rateInterval}s`).replaceAll('$__interval', `${step}s`);
  for (const [name, value] of Object.entries(variables)) expr = expr.replaceAll(`$${name}`, value);
  const body = new URLSearchParams(target.instant ? { query: expr, time: end } : { query: expr, start, end, step });
  const reply = await fetch(`${flags.prometheus}/api/v1/${target.instant ? 'query' : 'query_range'}`, { method: 'POST', body });
  const json = await reply.json();
  if (json.status !== 'success') {
    failed += 1;
    console.error(`${panel.title}: ${json.error}: ${expr}`);
    return { refId: target.refId, legend: '', result: [] };
  }
  const result = json.data.result.map((s) => ({ metric: dropName(s.metric), values: s.values ?? [s.value] }));
  return { refId: target.refId, legend: target.legendFormat, result };
}

async function firstTarget() {
  const reply = await fetch(`${flags.prometheus}/api/v1/label/target/values?match[]=odoo_poll_interval_seconds&start=${start}&end=${end}`);
  return (await reply.json()).data[0];
}

function dropName({ __name__, ...labels }) {
  return labels;
}

function serve(request, response) {
  const path = join(here, 'out', normalize(new URL(request.url, 'http://x').pathname));
  const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json' };
  if (!existsSync(path)) return response.writeHead(404).end();
  response.writeHead(200, { 'content-type': types[extname(path)] ?? 'application/octet-stream' });
  createReadStream(path).pipe(response);
}
