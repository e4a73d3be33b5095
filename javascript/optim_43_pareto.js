// Several goals: every trial as a point, the front of those that no other one beats on all goals, and a chooser.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, svg } = optim;
  const HEIGHT = 300;
  const PAD = { left: 46, right: 14, top: 20, bottom: 34 };
  const RHO = 0.05;

  // As `chosen_by` in lib_optim/search/pareto.py: points of the front {number: [value per goal]} and a weight per goal.
  optim.chosenBy = (points, weights) => {
    const numbers = Object.keys(points).map(Number).sort((a, b) => a - b);
    if (!numbers.length) return null;
    const ends = weights.map((_, i) => {
      const all = numbers.map((n) => points[n][i]);
      return [Math.min(...all), Math.max(...all)];
    });
    const total = weights.reduce((sum, w) => sum + w, 0);
    const parts = weights.map((w) => (total > 0 ? w / total : 1 / weights.length));
    const cost = (n) => {
      const losses = ends.map(([low, high], i) => (high > low ? (high - points[n][i]) / (high - low) : 0));
      const weighted = losses.map((loss, i) => loss * parts[i]);
      const sum = (list) => list.reduce((a, b) => a + b, 0);
      return Number((Math.max(...weighted) + RHO * sum(weighted) + 1e-6 * sum(losses)).toFixed(12));
    };
    return numbers.reduce((best, n) => (cost(n) < cost(best) ? n : best));
  };

  // --- the plot -------------------------------------------------------------------------------------------------
  const paretoPlot = (onPick, onOpen) => {
    const root = svg('svg', { class: 'optim-plot optim-pareto-plot', id: 'optim_pareto_plot', role: 'img', 'aria-label': 'Trials by goal', height: HEIGHT });
    const tip = el('div', { class: 'optim-tip', hidden: true });
    const node = el('div', { class: 'optim-plot-box optim-pareto-box' }, root, tip);
    let last = null;
    let drawn = '';
    const draw = (data) => {
      last = data;
      const width = Math.round(node.clientWidth);
      if (!width) return;
      const { axes, across, up, trials, front, chosen, selected, verified } = data;
      const signature = JSON.stringify([width, axes, across, up, front, chosen, selected, verified, trials.map((t) => [t.number, t.axes])]);
      if (signature === drawn) return;
      drawn = signature;
      const third = axes.find((_, i) => i !== across && i !== up);
      const of = (t, i) => t.axes[axes[i]];
      const range = (name, margin) => {
        const all = trials.map((t) => t.axes[name]);
        const [low, high] = trials.length ? [Math.min(...all), Math.max(...all)] : [0, 1];
        const more = margin ? (high - low) * 0.08 || Math.abs(high) * 0.1 || 0.5 : 0;
        return [low - more, high + more];
      };
      const [left, right] = range(axes[across], true);
      const [low, high] = range(axes[up], true);
      const x = (v) => PAD.left + ((width - PAD.left - PAD.right) * (v - left)) / (right - left);
      const y = (v) => PAD.top + ((HEIGHT - PAD.top - PAD.bottom) * (high - v)) / (high - low);
      const floor = HEIGHT - PAD.bottom;
      const parts = [];
      for (const v of trials.length ? optim.ticks(low, high, 5) : []) {
        parts.push(svg('line', { class: 'optim-gridline', x1: PAD.left, x2: width - PAD.right, y1: y(v), y2: y(v) }),
          svg('text', { class: 'optim-tick', x: PAD.left - 8, y: y(v) + 3.5, 'text-anchor': 'end', text: optim.number(Number(v.toPrecision(6))) }));
      }
      parts.push(svg('line', { class: 'optim-axis', x1: PAD.left, x2: width - PAD.right, y1: floor, y2: floor }));
      for (const v of trials.length ? optim.ticks(left, right, Math.min(8, width / 90)) : []) {
        parts.push(svg('text', { class: 'optim-tick', x: x(v), y: floor + 15, 'text-anchor': 'middle', text: optim.number(Number(v.toPrecision(6))) }));
      }
      parts.push(svg('text', { class: 'optim-tick optim-pareto-name', x: width - PAD.right, y: HEIGHT - 3, 'text-anchor': 'end', text: `${axes[across]} →` }),
        svg('text', { class: 'optim-tick optim-pareto-name', x: 2, y: 10, text: `↑ ${axes[up]}` }));
      const best = new Set(front);
      const ends = trials.filter((t) => best.has(t.number)).sort((a, b) => of(a, across) - of(b, across));
      if (axes.length === 2 && ends.length) {
        // What lies below and left of the line is beaten.
        let path = `M${PAD.left} ${y(of(ends[0], up))}`;
        for (const [i, t] of ends.entries()) path += `H${x(of(t, across))}V${i + 1 < ends.length ? y(of(ends[i + 1], up)) : floor}`;
        parts.push(svg('path', { class: 'optim-pareto-area', d: `${path}H${PAD.left}Z` }), svg('path', { class: 'optim-bestline', d: path }));
      }
      const [least, most] = third ? range(third, false) : [0, 1];
      // Points of the front last: they lie on top.
      for (const t of [...trials].sort((a, b) => best.has(a.number) - best.has(b.number) || (a.number === chosen) - (b.number === chosen) || a.number - b.number)) {
        const kinds = ['optim-point'];
        if (best.has(t.number)) kinds.push('optim-on-front');
        if (verified.includes(t.number)) kinds.push('optim-verified');
        if (t.number === chosen) kinds.push('optim-chosen');
        if (t.number === selected) kinds.push('optim-picked');
        const [px, py] = [x(of(t, across)), y(of(t, up))];
        const strength = third ? Math.round(most > least ? (85 * (t.axes[third] - least)) / (most - least) + 15 : 100) : null;
        const size = best.has(t.number) ? (third ? 6.5 : 5.5) : third ? 3 : 4;
        const mark = t.number === chosen
          ? svg('path', { d: optim.star(px, py, 9) })
          : svg('circle', { cx: px, cy: py, r: size });
        if (strength !== null && t.number !== chosen) mark.style.fill = `color-mix(in srgb, var(--optim-accent) ${strength}%, var(--optim-card))`;
        if (third && best.has(t.number)) kinds.push('optim-outlined');
        const words = `Trial ${t.number}${t.number === chosen ? ' · your choice' : ''}${verified.includes(t.number) ? ' · verified' : ''} · ${axes.map((name) => `${name} ${optim.number(t.axes[name])}`).join(' · ')}`;
        const say = () => {
          optim.setText(tip, words);
          tip.hidden = false;
          tip.style.left = `${Math.min(Math.max(px - tip.offsetWidth / 2, 0), width - tip.offsetWidth)}px`;
          tip.style.top = `${py > 50 ? py - 38 : py + 14}px`;
        };
        const hide = () => {
          tip.hidden = true;
        };
        parts.push(svg('g', {
          class: kinds.join(' '), 'data-trial': t.number, tabindex: 0, role: 'button', 'aria-label': words,
          on: {
            click: () => onPick(t.number),
            dblclick: () => onOpen(t.number),
            keydown: (event) => (event.key === 'Enter' || event.key === ' ' ? (event.preventDefault(), onPick(t.number)) : null),
            mouseenter: say, mouseleave: hide, focus: say, blur: hide,
          },
        }, svg('circle', { class: 'optim-hit', cx: px, cy: py, r: 11 }), mark));
      }
      if (!trials.length) parts.push(svg('text', { class: 'optim-tick', x: width / 2, y: HEIGHT / 2, 'text-anchor': 'middle', text: 'The first scored trial appears here' }));
      const focused = root.contains(document.activeElement) ? document.activeElement.getAttribute('data-trial') : null;
      root.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
      root.replaceChildren(...parts);
      if (focused !== null) root.querySelector(`[data-trial="${focused}"]`)?.focus({ preventScroll: true });
    };
    new ResizeObserver(() => (last ? draw(last) : null)).observe(node);
    return { node, draw };
  };

  // --- the card -------------------------------------------------------------------------------------------------
  // onSelect(number): its images are wanted; onOpen(number, index): show one large; onChoose(number or null): record it.
  optim.paretoCard = ({ onSelect, onOpen, onChoose }) => {
    let data = null;
    let axes = [];
    let weights = [];
    let across = 0;
    let up = 1;
    let selected = null;
    let steered = false; // the sliders say which trial is looked at, also as the front grows
    const plot = paretoPlot((number) => {
      steered = false;
      select(number);
    }, (number) => (data && data.imagesOf(number).length ? onOpen(number, data.imagesOf(number)[0].index) : null));
    const pickX = el('select', { id: 'optim_pareto_x', class: 'optim-input', 'aria-label': 'Goal across', on: { change: () => turn('x', Number(pickX.value)) } });
    const pickY = el('select', { id: 'optim_pareto_y', class: 'optim-input', 'aria-label': 'Goal upwards', on: { change: () => turn('y', Number(pickY.value)) } });
    const hue = el('span', { class: 'optim-help' });
    const turned = el('div', { class: 'optim-row optim-pareto-turn', hidden: true }, pickX, el('span', { class: 'optim-note', text: 'against' }), pickY, hue);
    const sliders = el('div', { class: 'optim-stack', id: 'optim_pareto_weights' });
    const title = el('span', { class: 'optim-title', id: 'optim_pareto_trial' });
    const state = el('span', { class: 'optim-note' });
    const facts = el('div', { class: 'optim-pareto-facts', id: 'optim_pareto_facts' });
    const gallery = optim.gallery({ id: 'optim_pareto_images', onOpen: (i) => onOpen(selected, i) });
    const choose = optim.button('optim_choose', 'Choose this one', () => onChoose(selected), 'primary optim-small', 'It is verified at the end and saved as the winner');
    const undo = optim.button('optim_unchoose', 'Take back', () => onChoose(null), 'small', 'Let the best weighted score win again');
    const chooser = el('div', { class: 'optim-stack optim-pareto-side' },
      el('div', { class: 'optim-help', text: 'What matters to you? The sliders find the trial of the front that fits; or click any point.' }),
      sliders, el('div', { class: 'optim-section-head' }, title, state), facts, el('div', { class: 'optim-row optim-tight' }, choose, undo));
    const legend = el('div', { class: 'optim-legend' },
      ...[['optim-key-front', 'not beaten'], ['optim-key-trial', 'beaten'], ['optim-key-verified', 'verified'], ['optim-key-chosen', 'your choice']]
        .map(([kind, text]) => el('span', {}, el('i', { class: kind }), text)));
    const node = el('section', { class: 'optim-card', id: 'optim_pareto', hidden: true },
      el('div', { class: 'optim-section-head' }, el('span', { class: 'optim-title', text: 'Goals' }), el('span', { class: 'optim-head-right' }, legend)),
      el('div', { class: 'optim-pareto' }, el('div', { class: 'optim-stack' }, plot.node, turned, gallery.node), chooser));

    const select = (number) => {
      if (number === selected) return;
      selected = number;
      onSelect(number);
      draw(data);
    };
    const turn = (which, i) => {
      if (which === 'x') [across, up] = [i, i === up ? across : up];
      else [across, up] = [i === across ? up : across, i];
      draw(data);
    };
    const steer = () => {
      steered = true;
      draw(data);
    };
    const begin = () => {
      weights = axes.map(() => 5);
      [across, up, selected, steered] = [0, 1, null, false];
      sliders.replaceChildren(...axes.map((name, i) => {
        const slider = el('input', {
          type: 'range', class: 'optim-slider', id: `optim_pareto_weight${i}`, min: 0, max: 10, step: 0.1, value: 5, 'aria-label': `How much ${name} matters`,
          on: {
            input: () => {
              weights[i] = Number(slider.value);
              steer();
            },
          },
        });
        return el('label', { class: 'optim-pareto-weight' }, el('span', { class: 'optim-label', text: name, title: name }), slider);
      }));
      for (const pick of [pickX, pickY]) pick.replaceChildren(...axes.map((name, i) => el('option', { value: i, text: name })));
      optim.show(turned, axes.length > 2);
    };
    let key = '';
    const draw = (next) => {
      data = next;
      optim.show(node, data && data.pareto);
      if (!data || !data.pareto) {
        key = '';
        return;
      }
      const { pareto, folder, best, verdict } = data;
      axes = pareto.axes;
      const now = JSON.stringify([folder, pareto.pass, axes]);
      if (now !== key) {
        key = now;
        begin();
      }
      const trials = data.trials.filter((t) => t.pass === pareto.pass && t.state === 'complete' && t.axes && axes.every((name) => name in t.axes));
      const known = new Map(trials.map((t) => [t.number, t]));
      const front = pareto.front.filter((number) => known.has(number));
      const point = (number) => axes.map((name) => known.get(number).axes[name]);
      if (steered) {
        const wanted = optim.chosenBy(Object.fromEntries(front.map((number) => [number, point(number)])), weights);
        if (wanted !== selected) {
          selected = wanted;
          onSelect(wanted);
        }
      } else if (!known.has(selected)) {
        const start = pareto.chosen !== null ? pareto.chosen : best;
        selected = known.has(start) ? start : null;
        if (selected !== null) onSelect(selected);
      }
      const verified = verdict ? verdict.finalists.map((row) => row.trial) : [];
      optim.assign(pickX, across);
      optim.assign(pickY, up);
      optim.setText(hue, axes.length > 2 ? `Colour: ${axes.find((_, i) => i !== across && i !== up)}, strong is high` : '');
      plot.draw({ axes, across, up, trials, front, chosen: pareto.chosen, selected, verified });
      const trial = known.get(selected);
      optim.setText(title, trial ? `Trial ${selected}` : 'No trial is scored yet');
      optim.setText(state, !trial ? '' : [selected === pareto.chosen ? 'your choice' : '', verified.includes(selected) ? 'verified' : '', front.includes(selected) ? '' : 'beaten by others'].filter(Boolean).join(' · '));
      facts.replaceChildren(...(trial ? axes.map((name) => {
        const all = front.map((number) => known.get(number).axes[name]);
        const [low, high] = [Math.min(...all, trial.axes[name]), Math.max(...all, trial.axes[name])];
        const part = high > low ? (trial.axes[name] - low) / (high - low) : 1;
        return el('div', { class: 'optim-pareto-fact', title: `On the front from ${optim.number(low)} to ${optim.number(high)}` },
          el('span', { class: 'optim-label', text: name, title: name }), el('span', { class: 'optim-track' }, el('i', { style: `left:0;width:${(100 * part).toFixed(1)}%` })),
          el('span', { class: 'optim-value', text: optim.number(trial.axes[name]) }));
      }) : []));
      const images = trial ? data.imagesOf(selected).slice(0, 4) : [];
      gallery.draw(folder, images, trial ? Math.min(4, data.images) : 0, null);
      optim.setDisabled(choose, !trial || selected === pareto.chosen);
      optim.show(undo, pareto.chosen !== null);
    };
    return { node, draw, selected: () => (node.hidden ? null : selected) };
  };
})();
