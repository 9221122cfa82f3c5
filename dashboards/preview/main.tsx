// Draws one dashboard's JSON, with the answers that preview.mjs fetched, by Grafana's own components.
// It knows what our dashboards use: stat, bargauge, timeseries and table; merge, organize and config from query results.
import { Component, type ReactNode } from 'react';
import { createRoot } from 'react-dom/client';
import { lastValueFrom } from 'rxjs';
import {
  createTheme, dateTime, type DataFrame, type Field, FieldType, getDisplayProcessor, getFieldDisplayName,
  standardTransformers, standardTransformersRegistry, ThemeContext, toDataFrame, transformDataFrame, VizOrientation,
} from '@grafana/data';
import { BarGauge, BigValue, BigValueColorMode, BigValueGraphMode, BigValueTextMode, GlobalStyles, PanelChrome, Table, TimeSeries } from '@grafana/ui';

type Answer = { refId: string; legend: string; result: { metric: Record<string, string>; values: [number, string][] }[] };
type Page = { dashboard: any; answers: Record<string, Answer[]>; from: number; to: number; step: number; variables: string };

const COLUMN = 66, CELL = 38, GAP = 8, HEADER = 56;
const theme = createTheme({ colors: { mode: 'dark' } });
// Grafana derives a value's color and text from these.
const display = (field: Field) => getDisplayProcessor({ field, theme });

standardTransformersRegistry.setInit(() =>
  [standardTransformers.mergeTransformer, standardTransformers.organizeFieldsTransformer].map(
    (t: any) => ({ id: t.id, name: t.name, transformation: async () => t, imageDark: '', imageLight: '', editor: () => null }) as any
  )
);

function main() {
  const name = new URLSearchParams(location.search).get('page');
  fetch(`/data/${name}.json`).then((r) => r.json()).then(async (page: Page) => {
    const panels = await Promise.all(page.dashboard.panels.map((p: any) => draw(p, page)));
    createRoot(document.getElementById('root')!).render(
      <ThemeContext.Provider value={theme}>
        <GlobalStyles hackNoBackdropBlur={false as any} />
        <div style={{ background: theme.colors.background.canvas, position: 'fixed', inset: 0 }} />
        <div style={{ position: 'absolute', left: GAP, top: 12, color: theme.colors.text.primary, fontSize: 18 }}>
          {page.dashboard.title} <span style={{ color: theme.colors.text.secondary, fontSize: 13, marginLeft: 16 }}>{page.variables}</span>
        </div>
        {panels}
      </ThemeContext.Provider>
    );
  });
}

async function draw(panel: any, page: Page) {
  const { x, y, w, h } = panel.gridPos;
  const box = { position: 'absolute', left: x * COLUMN + GAP, top: y * CELL + HEADER } as const;
  if (panel.type === 'row') {
    return <div key={panel.id} style={{ ...box, height: CELL - GAP, color: theme.colors.text.primary, display: 'flex', alignItems: 'center', fontWeight: 500 }}>{panel.title}</div>;
  }
  const frames = await transform(panel, toFrames(panel, page.answers[panel.id] ?? [], page.step));
  frames.forEach((frame) => configure(panel, frame, frames));
  return (
    <div key={panel.id} style={box}>
      <PanelChrome title={panel.title} description={panel.description} width={w * COLUMN - GAP} height={h * CELL - GAP}>
        {(width: number, height: number) => <Guard>{body(panel, frames, width, height, page)}</Guard>}
      </PanelChrome>
    </div>
  );
}

/** What the Prometheus data source makes of an answer: a frame for each series, or one table for each query. */
function toFrames(panel: any, answers: Answer[], step: number): DataFrame[] {
  if (panel.type !== 'table') {
    return answers.flatMap((a) =>
      a.result.map((s) => {
        const values = withGaps(s.values, step);
        return toDataFrame({
          refId: a.refId,
          fields: [
            { name: 'Time', type: FieldType.time, values: values.map((v) => v[0] * 1000) },
            { name: 'Value', type: FieldType.number, labels: s.metric, values: values.map((v) => (v[1] === null ? null : Number(v[1]))), config: { displayNameFromDS: legend(a.legend, s.metric) } },
          ],
        });
      })
    );
  }
  return answers.filter((a) => a.result.length).map((a) => {
    const labels = [...new Set(a.result.flatMap((s) => Object.keys(s.metric)))].sort();
    return toDataFrame({
      refId: a.refId,
      fields: [
        { name: 'Time', type: FieldType.time, values: a.result.map((s) => s.values[0][0] * 1000) },
        ...labels.map((l) => ({ name: l, type: FieldType.string, values: a.result.map((s) => s.metric[l] ?? '') })),
        { name: answers.length > 1 ? `Value #${a.refId}` : 'Value', type: FieldType.number, values: a.result.map((s) => Number(s.values[0][1])) },
      ],
    });
  });
}

/** A null where samples are missing: the line stops there. */
function withGaps(values: [number, string][], step: number): [number, string | null][] {
  return values.flatMap((v, i) => (i && v[0] - values[i - 1][0] > step ? [[values[i - 1][0] + step, null], v] : [v]) as [number, string | null][]);
}

function legend(format: string, metric: Record<string, string>) {
  return format === '__auto' ? JSON.stringify(metric) : format.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, l) => metric[l] ?? '');
}

async function transform(panel: any, frames: DataFrame[]) {
  const from = panel.transformations?.find((t: any) => t.id === 'configFromData')?.options;
  if (from) return withThreshold(from, panel.fieldConfig.defaults.thresholds, frames);
  return panel.transformations?.length && frames.length ? lastValueFrom(transformDataFrame(panel.transformations, frames)) : frames;
}

/** As Grafana's "Config from query results", which no package of it has: one query's value becomes a threshold of the others. Alone it stays. */
function withThreshold(from: any, thresholds: any, frames: DataFrame[]) {
  const config = frames.find((f) => f.refId === from.configRefId);
  if (!config || frames.length < 2) return frames;
  const value = config.fields[1].values.at(-1), { color } = from.mappings[0].handlerArguments.threshold;
  const others = frames.filter((f) => f !== config);
  others.forEach((f) => (f.fields[1].config.thresholds = { ...thresholds, steps: [...thresholds.steps, { value, color }] }));
  return others;
}

function configure(panel: any, frame: DataFrame, all: DataFrame[]) {
  frame.fields.forEach((field) => {
    const { custom, ...defaults } = structuredClone(panel.fieldConfig.defaults);
    const config: any = { ...defaults, ...field.config, custom: { ...custom } };
    const name = getFieldDisplayName(field, frame, all);
    for (const { matcher, properties } of panel.fieldConfig.overrides) {
      const pattern = matcher.id === 'byRegexp' ? new RegExp(matcher.options.slice(1, -1)) : null;
      if (pattern ? !pattern.test(name) : matcher.options !== name) continue;
      for (const { id, value } of properties) id.startsWith('custom.') ? (config.custom[id.slice(7)] = value) : (config[id] = value);
    }
    // JSON has no -Infinity: the first step is null there.
    config.thresholds?.steps.forEach((s: any) => (s.value = s.value ?? -Infinity));
    config.links = [];
    field.config = config;
    if (field.type === FieldType.number) field.state = { ...field.state, seriesIndex: all.indexOf(frame) };
    field.display = display(field);
  });
}

function body(panel: any, frames: DataFrame[], width: number, height: number, page: Page): ReactNode {
  const empty = <div style={{ width, height, display: 'grid', placeItems: 'center', color: theme.colors.text.secondary }}>{panel.fieldConfig.defaults.noValue ?? 'No data'}</div>;
  const values = frames.map((f) => f.fields.find((x) => x.type === FieldType.number)!).filter(Boolean);
  const shown = values.map((f) => ({ field: f, value: { ...f.display!(f.values[f.values.length - 1]), title: f.config.displayNameFromDS } }));
  if (panel.type === 'stat') {
    if (!shown.length) return empty;
    const mode = panel.options.textMode === 'name' ? BigValueTextMode.Name : shown.length > 1 ? BigValueTextMode.ValueAndName : BigValueTextMode.Value;
    return (
      <div style={{ display: 'flex', gap: 4 }}>
        {shown.map(({ value }, i) => (
          <BigValue key={i} theme={theme} width={width / shown.length - 4} height={height} value={value} colorMode={panel.options.colorMode as BigValueColorMode} graphMode={BigValueGraphMode.None} textMode={mode} />
        ))}
      </div>
    );
  }
  if (panel.type === 'bargauge') {
    if (!shown.length) return empty;
    // Grafana scales all bars of a panel alike.
    const max = Math.max(...shown.map((s) => s.value.numeric), 1);
    const bar = Math.min(40, height / shown.length - 6);
    return shown.map(({ field, value }, i) => (
      <div key={i} style={{ marginBottom: 6 }}>
        <BarGauge theme={theme} width={width} height={bar} value={value} field={{ ...field.config, max }} display={field.display} displayMode={panel.options.displayMode} orientation={VizOrientation.Horizontal} alignmentFactors={{ title: longest(shown.map((s) => s.value.title ?? '')), text: longest(shown.map((s) => s.value.text)) } as any} />
      </div>
    ));
  }
  if (panel.type === 'table') {
    if (!frames.length || !frames[0].length) return empty;
    return <Table data={frames[0]} width={width} height={height} initialSortBy={panel.options.sortBy} cellHeight={panel.options.cellHeight} />;
  }
  if (!frames.length) return empty;
  const range: any = { from: dateTime(page.from * 1000), to: dateTime(page.to * 1000), raw: { from: 'now-7d', to: 'now' } };
  return <TimeSeries frames={frames} width={width} height={height} timeRange={range} timeZone="utc" structureRev={1} legend={panel.options.legend} options={panel.options} replaceVariables={(s: string) => s} {...({} as any)} />;
}

function longest(texts: string[]) {
  return texts.reduce((a, b) => (b.length > a.length ? b : a), '');
}

/** One panel that cannot be drawn says so, and leaves the others alone. */
class Guard extends Component<{ children: ReactNode }, { error?: Error }> {
  state: { error?: Error } = {};
  static getDerivedStateFromError(error: Error) {
    return { error };
  }
  render() {
    return this.state.error ? <pre style={{ color: theme.colors.error.text }}>{this.state.error.stack?.slice(0, 600)}</pre> : this.props.children;
  }
}

main();
