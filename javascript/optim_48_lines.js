// Parallel coordinates: an axis per parameter that matters, the score on the right, a line per trial.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, svg } = optim;
  const HEIGHT = 260;
  const PAD = { left: 28, right: 40, top: 22, bottom: 30 };
  const MOST = 8;
  const SCORE = 'score';

  // How closely a value goes with the score, 0 to 1.
  const goesWith = (trials, name) => {
    const pairs = trials.filter((t) => typeof t.values[name] === 'number').map((t) => [t.values[name], t.value]);
    if (pairs.length < 3) return 0;
    const mean = (i) => pairs.reduce((sum, pair) => sum + pair[i], 0) / pairs.length;
    const [a, b] = [mean(0), mean(1)];
    const sum = (f) => pairs.reduce((total, pair) => total + f(pair), 0);
    const spread = Math.sqrt(sum(([x]) => (x - a) ** 2) * sum(([, y]) => (y - b) ** 2));
    return spread > 0 ? Math.abs(sum(([x, y]) => (x - a) * (y - b))) / spread : 0;
  };

  // The axes worth looking at: [{name, low, high}], those that matter most (`rows`, as What matters found them; else what goes
  // with the score most closely) in their own order, then the score. Only numbers that differ between trials.
  optim.lineAxes = (trials, rows, most = MOST) => {
    const names = [...new Set(trials.flatMap((t) => Object.keys(t.values)))];
    const span = (of) => {
      const all = trials.map(of).filter((v) => typeof v === 'number');
      return all.length ? [all.reduce((a, b) => Math.min(a, b)), all.reduce((a, b) => Math.max(a, b))] : [0, 0];
    };
    const share = new Map((rows || []).map((row) => [row.name, row.share]));
    const weight = (name) => (share.size ? share.get(name) || 0 : goesWith(trials, name));
    const axes = names.map((name, i) => [name, i, weight(name), ...span((t) => t.values[name])]).filter(([, , , low, high]) => high > low);
    const best = axes.sort((a, b) => b[2] - a[2] || a[1] - b[1]).slice(0, most).sort((a, b) => a[1] - b[1]);
    const [low, high] = span((t) => t.value);
    return [...best.map(([name, , , from, to]) => ({ name, low: from, high: to })), { name: SCORE, low, high }];
  };

  // Numbers of the trials that lie within every brush ({axis name: [from, to]}).
  optim.brushed = (trials, brushes) => trials.filter((t) => Object.entries(brushes).every(([name, [from, to]]) => {
    const value = name === SCORE ? t.value : t.values[name];
    return typeof value === 'number' && value >= from && value <= to;
  })).map((t) => t.number);

  // onPick(number): a line was clicked; onList(numbers or null): show only these among the tiles.
  optim.linesCard = ({ onPick, onList }) => {
    const root = svg('svg', { class: 'optim-plot optim-lines', id: 'optim_lines_plot', role: 'img', 'aria-label': 'Values of each trial', height: HEIGHT });
    const box = el('div', { class: 'optim-plot-box optim-lines-box' }, root);
    const about = el('span', { class: 'optim-note', id: 'optim_lines_about', role: 'status' });
    const list = optim.button('optim_lines_list', 'Show them below', () => onList(chosen), 'small', 'Only these trials in the list of trials');
    const clear = optim.button('optim_lines_clear', 'All lines', () => {
      brushes = {};
      onList(null);
      draw(last);
    }, 'small', 'Take every range back');
    const help = el('div', { class: 'optim-help', text: 'Drag along an axis (or focus it and press Enter) to keep only the lines that pass there; click a line to see its trial.' });
    const card = optim.section({ id: 'optim_lines_card', title: 'Values of all trials', open: false }, box, el('div', { class: 'optim-trials-bar' }, about, list, clear), help);
    let last = null;
    let drawn = '';
    let brushes = {};
    let chosen = [];
    let axes = [];
    let key = '';
    let y = () => 0;
    const floor = HEIGHT - PAD.bottom;

    const draw = (data) => {
      last = data;
      if (!data || !card.node.open) return;
      if (data.key !== key) [key, brushes] = [data.key, {}];
      const width = Math.round(box.clientWidth);
      const trials = data.trials.filter((t) => t.state === 'complete' && t.value !== null);
      const signature = JSON.stringify([width, data.best, data.picked, brushes, data.rows.map((row) => row.share), trials.map((t) => [t.number, t.value])]);
      if (!width || signature === drawn) return;
      drawn = signature;
      // Axes that are brushed stay, whatever the others do.
      axes = optim.lineAxes(trials, data.rows, Math.max(2, Math.min(MOST, Math.floor(width / 72))));
      brushes = Object.fromEntries(Object.entries(brushes).filter(([name]) => axes.some((axis) => axis.name === name)));
      const x = (i) => PAD.left + ((width - PAD.left - PAD.right) * i) / Math.max(1, axes.length - 1);
      y = (axis, v) => floor - ((floor - PAD.top) * (v - axis.low)) / (axis.high - axis.low || 1);
      chosen = optim.brushed(trials, brushes);
      const inside = new Set(chosen);
      const order = [...trials].sort((a, b) => inside.has(a.number) - inside.has(b.number) || a.value - b.value);
      const score = axes[axes.length - 1];
      const parts = [];
      optim.setClass(root, 'optim-dense', trials.length > 200);
      const shades = document.createDocumentFragment();
      for (const t of trials.length > 1 ? order : []) {
        const points = axes.map((axis, i) => [i, axis === score ? t.value : t.values[axis.name], axis]).filter(([, v]) => typeof v === 'number');
        const kinds = ['optim-line', inside.has(t.number) ? '' : 'optim-line-out', t.number === data.best ? 'optim-line-best' : '', t.number === data.picked ? 'optim-line-picked' : ''];
        const strength = Math.round((100 * (t.value - score.low)) / (score.high - score.low || 1));
        const line = svg('path', { class: kinds.filter(Boolean).join(' '), 'data-trial': t.number, d: `M${points.map(([i, v, axis]) => `${x(i).toFixed(1)} ${y(axis, v).toFixed(1)}`).join('L')}` }, svg('title', { text: `Trial ${t.number} · ${optim.number(t.value)}` }));
        line.style.setProperty('--optim-strength', `${strength}%`);
        shades.append(line);
      }
      parts.push(shades);
      axes.forEach((axis, i) => {
        const name = axis === score ? 'score' : axis.name.replace(/_/g, ' ');
        const brush = brushes[axis.name];
        const words = `${name}${brush ? `, from ${optim.number(brush[0])} to ${optim.number(brush[1])}` : ', every value'}`;
        parts.push(svg('g', { class: 'optim-lines-axis', 'data-axis': i, tabindex: 0, role: 'button', 'aria-label': `${words}; Enter: another third` },
          svg('line', { class: 'optim-axis', x1: x(i), x2: x(i), y1: PAD.top, y2: floor }),
          svg('rect', { class: 'optim-lines-hit', x: x(i) - 13, y: PAD.top - 6, width: 26, height: floor - PAD.top + 12 }),
          brush ? svg('rect', { class: 'optim-lines-brush', x: x(i) - 6, width: 12, y: y(axis, brush[1]), height: Math.max(3, y(axis, brush[0]) - y(axis, brush[1])) }) : svg('g', {}),
          svg('text', { class: 'optim-tick', x: x(i), y: PAD.top - 9, 'text-anchor': 'middle', text: trials.length ? optim.number(axis.high) : '' }),
          svg('text', { class: 'optim-tick', x: x(i), y: floor + 13, 'text-anchor': 'middle', text: trials.length ? optim.number(axis.low) : '' }),
          svg('text', { class: 'optim-tick optim-lines-name', x: x(i), y: floor + 26, 'text-anchor': 'middle', text: name })));
      });
      if (trials.length < 2) parts.push(svg('text', { class: 'optim-tick', x: width / 2, y: HEIGHT / 2, 'text-anchor': 'middle', text: 'Lines appear when two trials are scored' }));
      const focused = root.contains(document.activeElement) ? document.activeElement.getAttribute('data-axis') : null;
      root.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
      root.replaceChildren(...parts);
      if (focused !== null) root.querySelector(`[data-axis="${focused}"]`)?.focus({ preventScroll: true });
      const some = Object.keys(brushes).length > 0;
      optim.setText(about, some ? `${chosen.length} of ${optim.plural(trials.length, 'trial')}` : `${optim.plural(trials.length, 'trial')}; ${data.rows.length ? 'the parameters that matter most' : 'the parameters that go most closely with the score'}`);
      for (const button of [list, clear]) button.style.visibility = some ? 'visible' : 'hidden';
      card.summary(optim.plural(trials.length, 'line'));
    };

    const put = (axis, range) => {
      brushes = { ...brushes };
      if (range) brushes[axis.name] = range;
      else delete brushes[axis.name];
      draw(last);
    };
    const scale = () => root.getBoundingClientRect().height / HEIGHT;
    const valueAt = (axis, event) => {
      const at = (event.clientY - root.getBoundingClientRect().top) / scale();
      return Math.min(axis.high, Math.max(axis.low, axis.low + ((floor - at) * (axis.high - axis.low)) / (floor - PAD.top)));
    };
    root.addEventListener('pointerdown', (event) => {
      const node = event.target.closest('[data-axis]');
      if (!node || event.button) return;
      const axis = axes[Number(node.dataset.axis)];
      const from = valueAt(axis, event);
      let moved = false;
      event.preventDefault();
      const move = (now) => {
        const to = valueAt(axis, now);
        moved = moved || Math.abs(now.clientY - event.clientY) > 4;
        if (moved) put(axis, [Math.min(from, to), Math.max(from, to)]);
      };
      const end = () => {
        window.removeEventListener('pointermove', move);
        window.removeEventListener('pointerup', end);
        if (!moved) put(axis, null);
      };
      window.addEventListener('pointermove', move);
      window.addEventListener('pointerup', end);
    });
    root.addEventListener('keydown', (event) => {
      const node = event.target.closest('[data-axis]');
      if (!node || !['Enter', ' '].includes(event.key)) return;
      event.preventDefault();
      const axis = axes[Number(node.dataset.axis)];
      const third = (axis.high - axis.low) / 3;
      const thirds = [[axis.low + 2 * third, axis.high], [axis.low + third, axis.low + 2 * third], [axis.low, axis.low + third]];
      const at = brushes[axis.name] ? thirds.findIndex(([from]) => Math.abs(from - brushes[axis.name][0]) < third / 1e6) : -1;
      put(axis, at + 1 < thirds.length ? thirds[at + 1] : null);
    });
    root.addEventListener('click', (event) => {
      const line = event.target.closest('[data-trial]');
      if (line) onPick(Number(line.dataset.trial));
    });
    card.node.addEventListener('toggle', () => draw(last));
    new ResizeObserver(() => draw(last)).observe(box);
    return { node: card.node, draw };
  };
})();
