// Which parameters matter, as far as the trials tell: a bar per block, and one click to go on without the rest.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;
  const percent = (part) => `${part > 0 && part < 0.005 ? '<1' : Math.round(part * 100)} %`;

  optim.importance = ({ onFreeze, onFail }) => {
    const about = el('div', { class: 'optim-help', id: 'optim_importance_about' });
    const bars = el('div', { class: 'optim-profile optim-importance', id: 'optim_importance_bars' });
    const told = el('div', { class: 'optim-help', id: 'optim_importance_told' });
    const freeze = optim.button('optim_freeze', 'Freeze what does not matter and go on', () => onFreeze(folder, chosen()), 'small',
      'Start a new run from the best trial: what is grey is fixed at its values, the rest is searched');
    const card = optim.section({ id: 'optim_importance', title: 'What matters', open: false }, about, bars, told, el('div', { class: 'optim-row optim-nowrap' }, freeze));
    let folder = '';
    let asked = '';
    let waiting = false;
    let result = null;
    let active = false;
    let stopping = false;
    const turned = new Map(); // what the user decided otherwise: name to frozen or not

    const frozen = (row) => (turned.has(row.name) ? turned.get(row.name) : row.idle);
    const chosen = () => (result ? result.rows.filter(frozen).map((row) => row.name) : []);

    const ask = async (key) => {
      waiting = true;
      asked = key;
      const mine = folder;
      try {
        const found = await optim.get(`importance?folder=${encodeURIComponent(mine)}`);
        if (mine === folder) result = found;
      } catch (error) {
        if (!error.offline) onFail(error);
      }
      waiting = false;
      paint();
    };

    const bar = (row, top, before) => {
      const block = row.name.endsWith(`_${row.parameter}`) ? row.name.slice(0, -row.parameter.length - 1) : row.name;
      const family = optim.blockFamily(block);
      const part = (v) => `${((Math.min(v, top) / top) * 100).toFixed(1)}%`;
      const title = `${row.name}: ${percent(row.share)} of what the parameters do to the score (${percent(row.low)} to ${percent(row.high)}); drawn anew alone, it moves the score by about ${optim.number(row.swing)}. Click to ${frozen(row) ? 'keep it searched' : 'have it frozen'}.`;
      const node = el('button', {
        type: 'button', class: `optim-bar${before !== null && family !== before ? ' optim-bar-gap' : ''}${frozen(row) ? ' optim-idle' : ''}`, title,
        'aria-label': title, 'aria-pressed': String(frozen(row)), 'data-name': row.name,
        on: {
          click: () => {
            turned.set(row.name, !frozen(row));
            paint(row.name);
          },
        },
      },
      el('div', { class: 'optim-bar-track' }, el('div', { class: 'optim-bar-fill', style: `height:${part(row.share)}` }),
        el('div', { class: 'optim-bar-range', style: `bottom:${part(row.low)};height:calc(${part(row.high)} - ${part(row.low)})` })),
      el('span', { class: 'optim-bar-label', text: family !== before ? family.replace(/_/g, ' ') : '' }));
      return { node, family };
    };

    const paint = (focus) => {
      const rows = result ? result.rows : [];
      optim.setText(about, !result ? 'Looking at the trials …' : result.problem || `From ${optim.plural(result.trials, 'trial')}; a model of most of them predicts ${percent(Math.min(result.explained, 0.99))} of what the scores of the others vary by. Thin lines: what the trials allow.`);
      const groups = new Map();
      for (const row of rows) groups.set(row.parameter, [...(groups.get(row.parameter) || []), row]);
      const top = Math.max(0.05, ...rows.map((row) => Math.max(row.share * 1.15, row.high)));
      bars.replaceChildren(...[...groups].map(([parameter, list]) => {
        let before = null;
        const columns = list.map((row) => {
          const made = bar(row, top, before);
          before = made.family;
          return made.node;
        });
        return el('div', { class: 'optim-profile-group' }, groups.size > 1 ? el('div', { class: 'optim-note', text: parameter }) : null, el('div', { class: 'optim-bars' }, ...columns));
      }));
      if (focus) bars.querySelector(`[data-name="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
      const idle = rows.filter((row) => row.idle).length;
      const names = chosen();
      optim.show(bars, rows.length);
      optim.show(told, rows.length);
      optim.setText(told, idle ? `Grey: ${idle} of ${rows.length} together make up at most ${percent(result.idle_share)}. Click a bar to change what is frozen.` : `${(result && result.caution) || 'Of no parameter do the trials show that it does not matter.'} Click a bar to have it frozen all the same.`);
      optim.show(freeze, rows.length);
      optim.setText(freeze, names.length ? `Freeze ${names.length} of ${rows.length} and go on` : 'Freeze what does not matter and go on');
      optim.setDisabled(freeze, stopping || !names.length || names.length === rows.length);
      freeze.title = active ? 'After the trial under way, as a new pass of this run: what is grey is fixed at the best values so far, the rest is searched with what is left of the budget' : 'Start a new run from the best trial: what is grey is fixed at its values, the rest is searched';
      card.summary(!result || !rows.length ? '' : idle ? `${rows.length - idle} of ${rows.length}` : 'no parameter stands out');
    };

    card.node.addEventListener('toggle', () => draw(last));
    let last = null;
    const draw = (data) => {
      last = data;
      if (!data) return;
      if (data.folder !== folder) {
        folder = data.folder;
        result = null;
        asked = '';
        turned.clear();
        paint();
      }
      if (data.active !== active || data.stopping !== stopping) {
        active = data.active;
        stopping = data.stopping;
        paint();
      }
      const key = `${folder} ${data.trials.filter((t) => t.state === 'complete').map((t) => `${t.number}:${t.value}`).join(' ')}`;
      if (card.node.open && !waiting && key !== asked) ask(key);
    };
    return { node: card.node, draw, rows: () => (result && !result.problem ? result.rows : []) };
  };
})();
