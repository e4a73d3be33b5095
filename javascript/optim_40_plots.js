// Plots, from plain data to SVG or bars: score per trial with best-so-far, and the values of one trial.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, svg } = optim;
  const HEIGHT = 220;
  const PAD = { left: 44, right: 14, top: 12, bottom: 30 };

  // Round steps (1, 2, 5 times a power of ten) that give about `count` ticks.
  const ticks = (low, high, count) => {
    const raw = (high - low) / Math.max(1, count);
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw) || raw;
    const list = [];
    for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-9; v += step) list.push(Math.abs(v) < step * 1e-6 ? 0 : v);
    return list;
  };

  optim.ticks = ticks;
  // The outline of a five-pointed star around (x, y).
  optim.star = (x, y, r) => `M${Array.from({ length: 10 }, (_, i) => {
    const [size, angle] = [i % 2 ? r * 0.45 : r, (Math.PI * i) / 5];
    return `${(x + size * Math.sin(angle)).toFixed(1)} ${(y - size * Math.cos(angle)).toFixed(1)}`;
  }).join('L')}Z`;

  const describe = (trial, active) => {
    const origin = optim.originText(trial.origin.replace(/^sampler: /, '').replace(/^preset: /, 'preset '));
    if (trial.state === 'complete') return `Trial ${trial.number} · ${optim.number(trial.value)} · ${origin}`;
    if (trial.state === 'failed') return `Trial ${trial.number} failed: ${trial.reason}`;
    if (trial.state === 'skipped') return `Trial ${trial.number} was skipped`;
    return `Trial ${trial.number} · ${!active ? 'was not finished' : trial.state === 'waiting' ? 'waits for your scores' : 'running'} · ${origin}`;
  };

  optim.scorePlot = (onPick) => {
    const root = svg('svg', { class: 'optim-plot', id: 'optim_plot', role: 'img', 'aria-label': 'Score of each trial', height: HEIGHT });
    const tip = el('div', { class: 'optim-tip', hidden: true });
    const node = el('div', { class: 'optim-plot-box' }, root, tip);
    let drawn = '';
    let last = null;

    const draw = (data) => {
      last = data;
      const width = Math.round(node.clientWidth);
      if (!width) return;
      const signature = JSON.stringify([width, data.active, data.total, data.best, data.picked, (data.passes || []).length, data.trials.map((t) => [t.number, t.state, t.value, t.watched]), data.watched]);
      if (signature === drawn) return;
      drawn = signature;
      const scored = data.trials.filter((t) => t.state === 'complete' && t.value !== null);
      const has = new Set(scored);
      const highest = data.trials.length ? data.trials[data.trials.length - 1].number : 0;
      const end = Math.max(1, data.total - 1, highest);
      let low = Math.min(...scored.map((t) => t.value));
      let high = Math.max(...scored.map((t) => t.value));
      if (!scored.length) [low, high] = [0, 1];
      const margin = (high - low) * 0.12 || Math.abs(high) * 0.1 || 0.5;
      low -= margin;
      high += margin;
      const x = (n) => PAD.left + ((width - PAD.left - PAD.right) * (n + 0.5)) / (end + 1);
      const y = (v) => PAD.top + ((HEIGHT - PAD.top - PAD.bottom) * (high - v)) / (high - low);
      const floor = HEIGHT - PAD.bottom;
      const parts = [];
      const dense = data.trials.length > 200;
      optim.setClass(root, 'optim-dense', dense);
      for (const v of scored.length ? ticks(low, high, 4) : []) {
        parts.push(svg('line', { class: 'optim-gridline', x1: PAD.left, x2: width - PAD.right, y1: y(v), y2: y(v) }),
          svg('text', { class: 'optim-tick', x: PAD.left - 8, y: y(v) + 3.5, 'text-anchor': 'end', text: optim.number(Number(v.toPrecision(6))) }));
      }
      parts.push(svg('line', { class: 'optim-axis', x1: PAD.left, x2: width - PAD.right, y1: floor, y2: floor }));
      for (const v of ticks(0, end, Math.min(end, width / 70)).filter(Number.isInteger)) {
        parts.push(svg('text', { class: 'optim-tick', x: x(v), y: floor + 16, 'text-anchor': 'middle', text: `${v}` }));
      }
      // Each pass has judges and prompts of its own, so its best begins anew.
      const passes = data.passes && data.passes.length ? data.passes : [{ id: null }];
      for (const [i, pass] of passes.entries()) {
        const ours = data.trials.filter((t) => pass.id === null || t.pass === pass.id);
        let best = -Infinity;
        let path = '';
        for (const t of ours.filter((t) => has.has(t))) {
          if (t.value > best) path += path ? `H${x(t.number)}V${y(t.value)}` : `M${x(t.number)} ${y(t.value)}`;
          best = Math.max(best, t.value);
        }
        if (path) parts.push(svg('path', { class: 'optim-bestline', d: `${path}H${x(ours[ours.length - 1].number)}` }));
        if (i && ours.length) {
          const left = x(ours[0].number - 0.5);
          parts.push(svg('line', { class: 'optim-passline', x1: left, x2: left, y1: PAD.top, y2: floor }),
            svg('text', { class: 'optim-tick optim-passname', x: left + 5, y: PAD.top + 9, text: `pass ${pass.label}${pass.name ? `: ${pass.name}` : ''}` }));
        }
      }
      parts.push(...optim.watchedCurves(data.watched || [], data.trials, { x, top: PAD.top, floor, right: width - PAD.right }));
      for (const t of data.trials) {
        const kinds = ['optim-point'];
        let mark;
        if (t.state === 'complete' && t.value !== null) {
          if (/^(preset|start)/.test(t.origin)) kinds.push('optim-preset');
          if (t.number === data.best) kinds.push('optim-best');
          mark = svg('circle', { cx: x(t.number), cy: y(t.value), r: t.number === data.best ? 6 : dense ? 2.2 : 4 });
        } else if (t.state === 'failed' || t.state === 'skipped' || !data.active) {
          kinds.push(t.state === 'failed' ? 'optim-failed' : 'optim-skipped'); // one that was never finished looks skipped
          const [a, b] = [x(t.number), floor - 7];
          mark = svg('path', { d: t.state === 'failed' ? `M${a - 3} ${b - 3}l6 6m0 -6l-6 6` : `M${a - 3} ${b}h6` });
        } else {
          kinds.push('optim-open');
          mark = svg('circle', { cx: x(t.number), cy: floor - 7, r: 3.5 });
        }
        if (t.number === data.picked) kinds.push('optim-picked');
        const [px, py] = [x(t.number), t.value !== null && t.state === 'complete' ? y(t.value) : floor - 7];
        const say = () => {
          optim.setText(tip, describe(t, data.active));
          tip.hidden = false;
          tip.style.left = `${Math.min(Math.max(px - tip.offsetWidth / 2, 0), width - tip.offsetWidth)}px`;
          tip.style.top = `${py > 50 ? py - 36 : py + 14}px`;
        };
        const hide = () => {
          tip.hidden = true;
        };
        parts.push(svg('g', {
          class: kinds.join(' '), 'data-trial': t.number, tabindex: 0, role: 'button', 'aria-label': describe(t, data.active),
          on: {
            click: () => onPick(t.number),
            keydown: (event) => (event.key === 'Enter' || event.key === ' ' ? (event.preventDefault(), onPick(t.number)) : null),
            mouseenter: say, mouseleave: hide, focus: say, blur: hide,
          },
        }, svg('circle', { class: 'optim-hit', cx: px, cy: py, r: 10 }), mark));
      }
      if (!scored.length) {
        parts.push(svg('text', { class: 'optim-tick', x: width / 2, y: HEIGHT / 2, 'text-anchor': 'middle', text: data.empty }));
      }
      parts.push(svg('text', { class: 'optim-tick', x: width - PAD.right, y: HEIGHT - 2, 'text-anchor': 'end', text: 'trial' }));
      // The focused point is drawn anew, so focus is handed to its successor.
      const focused = root.contains(document.activeElement) ? document.activeElement.getAttribute('data-trial') : null;
      root.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
      root.replaceChildren(...parts);
      if (focused !== null) root.querySelector(`[data-trial="${focused}"]`)?.focus({ preventScroll: true });
    };
    new ResizeObserver(() => (last ? draw(last) : null)).observe(node);
    return { node, draw };
  };

  const ADJUSTMENTS = new Set(['detail_in', 'detail_out', 'detail_out2', 'contrast', 'brightness', 'cyan_red', 'magenta_green', 'yellow_blue']);

  // The part of the UNet that a block belongs to; other blocks stand for themselves.
  optim.blockFamily = (name) => (/^(IN|M|OUT)\d/.exec(name) || [name, name])[1];

  // How deep a block lies in the UNet, 0 at the top, where `most` is the number of its blocks of that side: three blocks each.
  optim.blockDepth = (block, most) => {
    const [, side, number] = /^(IN|OUT)(\d+)$/.exec(block) || [];
    if (side) return side === 'IN' ? Math.floor(Number(number) / 3) : Math.floor((most - 1 - Number(number)) / 3);
    return /^(M\d+|MID)$/.test(block) ? Math.floor((most - 1) / 3) : 0;
  };

  // Values of one trial as bars, grouped as the blocks lie in the UNet; a second trial's as thin marks for comparison.
  optim.profile = () => {
    const node = el('div', { class: 'optim-profile' });
    let drawn = '';
    const family = optim.blockFamily;
    // A name is block and parameter; the numbers of the layer adjustment have no block, those of recipes more underscores.
    const split = (name) => {
      if (ADJUSTMENTS.has(name)) return [name, 'adjustment'];
      const known = /^(BASE|VAE|TIME|LABEL|FINAL|MID|IN\d*|M\d+|OUT\d*|unet|text_encoder|vae)_(.+)$/.exec(name);
      const cut = name.lastIndexOf('_');
      return known ? [known[1], known[2]] : cut > 0 ? [name.slice(0, cut), name.slice(cut + 1)] : [name, name];
    };
    const draw = (values, compare) => {
      const signature = JSON.stringify([values, compare]);
      if (signature === drawn) return;
      drawn = signature;
      const groups = new Map();
      const words = [];
      for (const [name, value] of Object.entries(values || {})) {
        if (typeof value !== 'number') {
          words.push(el('span', { class: 'optim-chip', text: `${name} = ${value}` }));
          continue;
        }
        const [block, parameter] = split(name);
        if (!groups.has(parameter)) groups.set(parameter, []);
        groups.get(parameter).push([block, value, compare ? compare[name] : undefined]);
      }
      node.replaceChildren(...[...groups].map(([parameter, list]) => bars(parameter, list, groups.size > 1)), ...(words.length ? [el('div', { class: 'optim-chips' }, ...words)] : []));
    };
    const bars = (parameter, list, named) => {
      const all = list.flatMap(([, value, other]) => (typeof other === 'number' ? [value, other] : [value]));
      const low = Math.min(0, ...all);
      const high = Math.max(1, ...all);
      const part = (v) => `${(((v - low) / (high - low)) * 100).toFixed(1)}%`;
      const few = list.length <= 8;
      // Down on the left, the middle at the bottom, up on the right: the bars stand where their blocks lie in the U.
      const sides = ['IN', 'OUT'].map((side) => list.filter(([block]) => family(block) === side).length);
      const unet = !few && sides.every((count) => count > 2);
      const depth = (block) => (unet ? optim.blockDepth(block, Math.max(...sides)) : 0);
      let before = null;
      const columns = list.map(([block, value, other]) => {
        const start = before !== null && family(block) !== before;
        const first = before === null || start;
        before = family(block);
        const label = few ? block.replace(/_/g, ' ') : first ? before : '';
        const alone = list.filter(([other]) => family(other) === before).length === 1 && before.length > 2 && !few;
        return el('div', { style: unet ? `--optim-depth:${depth(block)}` : null, class: `optim-bar${alone ? ' optim-bar-wide' : ''}${start ? ' optim-bar-gap' : ''}`, title: `${block} ${parameter} = ${optim.number(value)}${typeof other === 'number' ? ` (best: ${optim.number(other)})` : ''}` },
          el('div', { class: 'optim-bar-track' }, el('div', { class: 'optim-bar-fill', style: `height:${part(value)}` }),
            typeof other === 'number' ? el('div', { class: 'optim-bar-mark', style: `bottom:${part(other)}` }) : null),
          few ? el('span', { class: 'optim-bar-value', text: optim.number(Number(value.toPrecision(3))) }) : null,
          el('span', { class: 'optim-bar-label', text: label }));
      });
      return el('div', { class: 'optim-profile-group' }, named ? el('div', { class: 'optim-note', text: parameter }) : null,
        el('div', { class: `optim-bars${few ? ' optim-bars-few' : ''}${unet ? ' optim-unet' : ''}`, style: unet ? `--optim-deepest:${depth('M00')}` : null }, ...columns));
    };
    return { node, draw };
  };
})();
