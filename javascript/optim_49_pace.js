// What each trial cost: seconds by step as stacked bars, and the memory in use as lines.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, svg } = optim;
  const HEIGHT = 150;
  const PAD = { left: 52, right: 14, top: 12, bottom: 22 };
  const STEPS = [['merge', 'merge into the model'], ['generate', 'make images'], ['score', 'score'], ['restore', 'put back']];
  const KINDS = [['ram', 'RAM of this program'], ['vram', 'VRAM it holds']];
  const MOST = 120; // bars: more trials are put together

  // Bars of the trials that took time: [{from, to, steps: [seconds, …]}], mean seconds of each; neighbours share a bar where
  // there are more than `most`.
  optim.paceBars = (trials, most = MOST) => {
    const timed = trials.filter((t) => optim.trialSeconds(t) !== null);
    const each = Math.max(1, Math.ceil(timed.length / most));
    const bars = [];
    for (let i = 0; i < timed.length; i += each) {
      const some = timed.slice(i, i + each);
      bars.push({ from: some[0].number, to: some[some.length - 1].number, steps: STEPS.map(([step]) => some.reduce((sum, t) => sum + (t.seconds[step] || 0), 0) / some.length) });
    }
    return bars;
  };

  // Lines of the memory in use, from the trials that have it: [{kind, points: [[number, bytes], …]}].
  optim.memoryLines = (trials) => KINDS.map(([kind]) => ({ kind, points: trials.filter((t) => t.memory && kind in t.memory).map((t) => [t.number, t.memory[kind]]) })).filter(({ points }) => points.length);

  const frame = (width, high, format) => {
    const y = (v) => HEIGHT - PAD.bottom - ((HEIGHT - PAD.top - PAD.bottom) * v) / high;
    const parts = optim.ticks(0, high, 3).map((v) => [svg('line', { class: 'optim-gridline', x1: PAD.left, x2: width - PAD.right, y1: y(v), y2: y(v) }), svg('text', { class: 'optim-tick', x: PAD.left - 8, y: y(v) + 3.5, 'text-anchor': 'end', text: format(v) })]).flat();
    return { y, parts };
  };
  const plot = (id, label) => svg('svg', { class: 'optim-plot optim-pace-plot', id, role: 'img', 'aria-label': label, height: HEIGHT });
  const legend = (rows, kind) => el('div', { class: 'optim-legend' }, ...rows.map(([, text], i) => el('span', {}, el('i', { class: `optim-key-${kind} optim-${kind}${i}` }), text)));

  optim.paceCard = () => {
    const times = plot('optim_pace_plot', 'Seconds of each trial');
    const memory = plot('optim_memory_plot', 'Memory in use after each trial');
    const told = el('div', { class: 'optim-help', id: 'optim_pace_told' });
    const grown = el('div', { class: 'optim-help', id: 'optim_memory_told' });
    const memoryBox = el('div', { class: 'optim-stack' }, legend(KINDS, 'memory'), memory, grown);
    const box = el('div', { class: 'optim-stack' }, legend(STEPS, 'step'), times, told, memoryBox);
    const card = optim.section({ id: 'optim_pace_card', title: 'Time and memory', open: false }, box);
    let last = null;
    let drawn = '';
    const draw = (data) => {
      last = data;
      const timed = data ? data.trials.filter((t) => t.state === 'complete' && optim.trialSeconds(t) !== null) : [];
      if (!data) return;
      const mean = timed.length ? timed.reduce((sum, t) => sum + optim.trialSeconds(t), 0) / timed.length : null;
      card.summary(mean === null ? '' : `${optim.seconds(mean)} a trial`);
      if (!card.node.open) return;
      const width = Math.round(box.clientWidth);
      const signature = JSON.stringify([width, data.trials.map((t) => [t.number, t.seconds, t.memory])]);
      if (!width || signature === drawn) return;
      drawn = signature;
      const bars = optim.paceBars(data.trials);
      const end = Math.max(1, ...bars.map((bar) => bar.to));
      const x = (n) => PAD.left + ((width - PAD.left - PAD.right) * n) / (end + 1);
      const sum = (bar) => bar.steps.reduce((a, b) => a + b, 0);
      const tall = frame(width, Math.max(0.1, ...bars.map(sum)) * 1.05, (v) => `${optim.number(Number(v.toPrecision(3)))} s`);
      for (const bar of bars) {
        let at = 0;
        const words = `${bar.from === bar.to ? `Trial ${bar.from}` : `Trials ${bar.from} to ${bar.to}, on average`}: ${STEPS.map(([step], i) => `${step} ${optim.seconds(bar.steps[i])}`).join(', ')}`;
        tall.parts.push(svg('g', { class: 'optim-pace-bar' }, svg('title', { text: words }), ...bar.steps.map((seconds, i) => {
          const [low, high] = [tall.y(at), tall.y((at += seconds))];
          return svg('rect', { class: `optim-step${i}`, x: x(bar.from) + 0.5, width: Math.max(1, x(bar.to + 1) - x(bar.from) - 1), y: high, height: Math.max(0, low - high) });
        })));
      }
      const ticks = (parts) => optim.ticks(0, end, Math.min(end, width / 70)).filter(Number.isInteger).forEach((v) => parts.push(svg('text', { class: 'optim-tick', x: x(v + 0.5), y: HEIGHT - 6, 'text-anchor': 'middle', text: `${v}` })));
      ticks(tall.parts);
      const put = (node, parts) => {
        node.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
        node.replaceChildren(...parts);
      };
      put(times, tall.parts);
      const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
      optim.setText(told, timed.length ? `Half of the trials took at most ${optim.seconds(median(timed.map(optim.trialSeconds)))}, of it ${optim.seconds(median(timed.map((t) => t.seconds.merge || 0)))} to merge.` : 'Times appear with the first trial.');
      const lines = optim.memoryLines(data.trials);
      optim.show(memoryBox, lines.length);
      if (!lines.length) return;
      const wide = frame(width, lines.flatMap(({ points }) => points.map(([, v]) => v)).reduce((a, b) => Math.max(a, b)) * 1.08, optim.bytes);
      for (const { kind, points } of lines) {
        const i = KINDS.findIndex(([name]) => name === kind);
        wide.parts.push(svg('path', { class: `optim-memory-line optim-memory${i}`, 'data-kind': kind, d: `M${points.map(([n, v]) => `${x(n + 0.5).toFixed(1)} ${wide.y(v).toFixed(1)}`).join('L')}` }));
        if (points.length === 1) wide.parts.push(svg('circle', { class: `optim-memory-dot optim-memory${i}`, cx: x(points[0][0] + 0.5), cy: wide.y(points[0][1]), r: 3 }));
      }
      ticks(wide.parts);
      put(memory, wide.parts);
      const ram = lines.find(({ kind }) => kind === 'ram');
      const [from, to] = ram && ram.points.length > 1 ? [ram.points[1][1], ram.points[ram.points.length - 1][1]] : [0, 0];
      optim.setText(grown, !ram ? '' : ram.points.length > 2 ? `${optim.bytes(to)} of RAM now, ${to >= from ? optim.bytes(to - from) : `${optim.bytes(from - to)} less`}${to >= from ? ' more' : ''} than after the second trial.` : `${optim.bytes(ram.points[ram.points.length - 1][1])} of RAM now.`);
    };
    card.node.addEventListener('toggle', () => draw(last));
    new ResizeObserver(() => draw(last)).observe(box);
    return { node: card.node, draw };
  };
})();
