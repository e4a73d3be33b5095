// Curves over depth: how many points and what runs through them, and an example of each curve of the guide.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, svg } = optim;
  const SHAPES = [
    ['smooth', 'Smooth', 'Never above or below what its points say'], ['linear', 'Straight lines', 'From point to point'],
    ['polynomial', 'Polynomial', 'One polynomial through all points; it may swing, and is cut at the ends of the range'],
  ];
  const [WIDTH, HEIGHT, PAD] = [340, 84, 8];

  const drawing = (curve) => {
    const values = curve.line.map(([, y]) => y);
    const [low, high] = [Math.min(0, ...values), Math.max(1, ...values)];
    const at = ([x, y]) => [PAD + x * (WIDTH - 2 * PAD), HEIGHT - PAD - ((y - low) / (high - low)) * (HEIGHT - 2 * PAD)];
    const d = curve.line.map((point, i) => `${i ? 'L' : 'M'}${at(point).map((v) => v.toFixed(1)).join(' ')}`).join('');
    const dots = curve.points.map((point) => {
      const [cx, cy] = at(point);
      return svg('circle', { cx, cy, r: 4, class: 'optim-curve-dot' });
    });
    return el('div', { class: 'optim-curve' },
      svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': `Example of ${curve.name}` },
        svg('line', { class: 'optim-grid', x1: 0, x2: WIDTH, y1: at([0, 0])[1], y2: at([0, 0])[1] }), svg('line', { class: 'optim-grid', x1: 0, x2: WIDTH, y1: at([0, 1])[1], y2: at([0, 1])[1] }),
        svg('path', { class: 'optim-bestline', d }), ...dots),
      el('div', { class: 'optim-curve-ends optim-note' }, el('span', { text: curve.ends[0] }), el('span', { text: `${curve.name}, for example` }), el('span', { text: curve.ends[1] })));
  };

  optim.curveBox = (plan, table) => {
    const set = (key, value) => {
      plan.form.vary[key] = value;
      plan.changed('vary');
    };
    const points = el('select', { id: 'optim_curve_points', class: 'optim-input', 'aria-label': 'Points', on: { change: () => set('points', Number(points.value)) } },
      ...[2, 3, 4, 5, 6, 7, 8].map((n) => el('option', { value: n, text: `${n} points` })));
    const shape = el('select', { id: 'optim_curve_shape', class: 'optim-input', 'aria-label': 'Shape', on: { change: () => set('shape', shape.value) } },
      ...SHAPES.map(([value, text, title]) => el('option', { value, text, title })));
    const row = el('div', { class: 'optim-grid2' }, points, shape);
    const drawings = el('div', { class: 'optim-stack', id: 'optim_curves' });
    let known = [];
    const show = () => {
      const on = ['curve', 'custom'].includes(plan.form.vary.mode);
      optim.show(drawings, on && known.length);
      optim.show(node, plan.form.vary.mode === 'curve' || (on && known.length));
    };
    table.hearCurves((curves) => {
      known = curves;
      drawings.replaceChildren(...curves.slice(0, 6).map(drawing));
      show();
    });
    const node = el('div', { class: 'optim-stack' }, row, drawings);
    return {
      node,
      draw: () => {
        optim.show(row, plan.form.vary.mode === 'curve');
        points.value = plan.form.vary.points || 4;
        shape.value = plan.form.vary.shape || 'smooth';
        show();
      },
    };
  };
})();
