// Sliders for the parameters of a search space, whatever they are: numbers, logarithms, steps, choices, yes or no.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;
  const TICKS = 1000; // of a slider; the number beside it takes any value in between
  const MIXING = 'alpha';

  const places = (row, at) => (row.log ? Math.exp(Math.log(row.low) + at * Math.log(row.high / row.low)) : row.low + at * (row.high - row.low));
  const placeOf = (row, value) => (row.log ? Math.log(value / row.low) / Math.log(row.high / row.low) : (value - row.low) / (row.high - row.low));
  const fitted = (row, value) => {
    const step = row.step || (row.kind === 'int' ? 1 : 0);
    const stepped = step ? row.low + Math.round((value - row.low) / step) * step : value;
    return Math.min(row.high, Math.max(row.low, row.log ? Number(stepped.toPrecision(4)) : Number(stepped.toFixed(step ? 8 : 3))));
  };

  // onMove: a value changed under the hand; onRelease: the hand let go.
  optim.sliders = ({ onMove, onRelease }) => {
    const node = el('div', { class: 'optim-sliders', id: 'optim_try_sliders' });
    let values = {};
    let shown = {};
    let drawn = '';
    let all = { show: () => {} };

    const set = (row, value) => {
      values = { ...values, [row.name]: value };
      all.show();
      onMove();
    };
    const number = (row, label) => {
      const range = el('input', {
        type: 'range', class: 'optim-slider', min: 0, max: TICKS, step: 1, 'aria-label': label,
        on: {
          input: () => {
            set(row, fitted(row, places(row, Number(range.value) / TICKS)));
            text.value = values[row.name];
          },
          change: onRelease,
        },
      });
      const text = el('input', {
        type: 'number', class: 'optim-input', min: row.low, max: row.high, step: 'any', 'aria-label': `${label}, number`, id: `optim_try_${row.name}`,
        on: {
          change: () => {
            const given = Number(text.value);
            if (text.value !== '' && Number.isFinite(given)) set(row, row.step || row.kind === 'int' ? fitted(row, given) : Math.min(row.high, Math.max(row.low, given)));
            show();
            onRelease();
          },
        },
      });
      const show = () => {
        range.value = Math.round(placeOf(row, values[row.name]) * TICKS);
        optim.assign(text, Number(values[row.name].toFixed(6)));
      };
      return { cells: [range, text], show };
    };
    const choice = (row, label) => {
      const options = row.kind === 'bool' ? [false, true] : row.choices;
      const select = el('select', {
        class: 'optim-input', 'aria-label': label, id: `optim_try_${row.name}`,
        on: {
          change: () => {
            set(row, options[Number(select.value)]);
            onRelease();
          },
        },
      }, ...options.map((value, i) => el('option', { value: String(i), text: value === true ? 'yes' : value === false ? 'no' : String(value) })));
      return { cells: [select], show: () => { select.value = String(options.indexOf(values[row.name])); } };
    };
    // One slider for the weights of all blocks, each within its own range.
    const together = (rows) => {
      const range = el('input', {
        type: 'range', class: 'optim-slider', min: 0, max: TICKS, step: 1, 'aria-label': 'All weights at once', id: 'optim_try_all',
        on: {
          input: () => {
            values = { ...values, ...Object.fromEntries(rows.map((row) => [row.name, fitted(row, places(row, Number(range.value) / TICKS))])) };
            Object.values(shown).forEach((one) => one.show());
            onMove();
          },
          change: onRelease,
        },
      });
      const show = () => {
        const at = rows.map((row) => placeOf(row, values[row.name]));
        range.value = Math.round((TICKS * at.reduce((sum, one) => sum + one, 0)) / at.length);
      };
      return { node: el('div', { class: 'optim-slider-row optim-slider-all' }, el('span', { class: 'optim-label', text: 'All weights' }), range), show };
    };

    return {
      node,
      values: () => values,
      draw: (parameters, next) => {
        values = { ...next };
        const signature = JSON.stringify(parameters);
        if (signature !== drawn) {
          drawn = signature;
          shown = {};
          const same = new Set(parameters.map((row) => row.parameter)).size === 1;
          const rows = parameters.map((row) => {
            const label = same && row.name.endsWith(`_${row.parameter}`) ? row.name.slice(0, -row.parameter.length - 1) : row.name;
            shown[row.name] = row.kind === 'float' || row.kind === 'int' ? number(row, label) : choice(row, label);
            return el('div', { class: 'optim-slider-row', 'data-name': row.name }, el('span', { class: 'optim-label', text: label, title: row.blocks.join(', ') }), ...shown[row.name].cells);
          });
          const mixing = parameters.filter((row) => row.parameter === MIXING && row.kind === 'float');
          all = mixing.length > 1 ? together(mixing) : { node: null, show: () => {} };
          node.replaceChildren(...(all.node ? [all.node] : []), ...rows);
        }
        Object.values(shown).forEach((one) => one.show());
        all.show();
      },
    };
  };
})();
