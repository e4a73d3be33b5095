// The block table: the same guide as the lines of "Custom", a row per block. Every change is one edit by pattern.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;
  const HOW = [['vary', 'Search'], ['fixed', 'Fixed'], ['keep', 'As in A']];
  const MOST = 200; // rows; more are single tensors, which are better edited as text

  const parts = (bound) => /^(\S+?)\.\.(\S+)(.*)$/.exec(bound);

  optim.blockTable = (plan) => {
    const body = el('div', { class: 'optim-blocks', id: 'optim_blocks' });
    const said = el('div', { class: 'optim-error', id: 'optim_blocks_said', hidden: true });
    const which = el('select', { class: 'optim-input optim-small-select', id: 'optim_blocks_parameter', 'aria-label': 'Parameter', hidden: true, on: { change: () => drawRows() } });
    const pattern = el('input', { id: 'optim_bulk_blocks', class: 'optim-input', placeholder: 'IN00-IN05, OUT*', spellcheck: 'false', 'aria-label': 'Blocks to change' });
    const how = el('select', { id: 'optim_bulk_how', class: 'optim-input', 'aria-label': 'What they do', on: { change: () => suit() } },
      ...HOW.map(([value, text]) => el('option', { value, text })), el('option', { value: 'group', text: 'One value' }));
    const value = el('input', { id: 'optim_bulk_bound', class: 'optim-input', spellcheck: 'false', 'aria-label': 'Range or value' });
    const name = el('input', { id: 'optim_bulk_group', class: 'optim-input', placeholder: 'name', spellcheck: 'false', 'aria-label': 'Name of the group', hidden: true });
    const apply = optim.button('optim_bulk_apply', 'Set', () => {
      const bound = how.value === 'fixed' && !value.value.startsWith('=') ? `=${value.value}` : value.value;
      edit({ blocks: pattern.value, how: how.value, bound, group: name.value });
    }, 'small', 'Change all blocks that these names, ranges and wildcards mean');
    const bulk = el('div', { class: 'optim-bulk' }, pattern, how, value, name, apply);
    const steps = optim.tableSteps(plan);
    const tabs = optim.componentTabs(() => drawRows());
    const node = el('details', { id: 'optim_block_table', class: 'optim-sub', on: { keydown: steps.keys } },
      el('summary', { class: 'optim-note' }, el('span', { text: 'Block by block' })), which, bulk, said, el('div', { class: 'optim-row optim-tight' }, tabs.node, steps.node), body);
    const suit = () => {
      value.hidden = how.value === 'keep';
      name.hidden = how.value !== 'group';
      value.placeholder = how.value === 'fixed' ? '0.5' : '0..1';
    };
    suit();
    for (const input of [pattern, value, name]) input.addEventListener('keydown', (event) => (event.key === 'Enter' ? apply.click() : null));

    let rows = [];
    let onCurves = () => {};
    let asked = '';
    let round = 0;
    let timer = 0;

    const say = (problems) => {
      optim.setText(said, problems.join(' '));
      optim.show(said, problems.length);
    };
    const take = (answer) => {
      rows = answer.rows;
      onCurves(answer.curves);
      const names = [...new Set(rows.map((row) => row.parameter))];
      const chosen = names.includes(which.value) ? which.value : names[0];
      which.replaceChildren(...names.map((text) => el('option', { value: text, text })));
      which.value = chosen || '';
      optim.show(which, names.length > 1);
      drawRows();
    };
    const ask = async (change) => {
      const mine = (round += 1);
      const answer = await optim.post('guide', change ? { form: plan.form, edit: change } : { form: plan.form });
      return mine === round ? answer : null;
    };
    const refresh = async () => {
      try {
        const answer = await ask();
        if (!answer) return;
        say(answer.problems);
        take(answer);
      } catch {
        asked = ''; // the page says by itself that the program does not answer
      }
    };
    const edit = async (change) => {
      const answer = await ask({ parameter: which.value, ...change }).catch((error) => ({ problems: [error.message], custom: null }));
      if (!answer) return;
      say(answer.problems);
      if (answer.custom === null) return drawRows(); // back to what is so
      const before = steps.before();
      Object.assign(plan.form.vary, { mode: 'custom', custom: answer.custom });
      steps.did(before);
      asked = signature();
      take(answer);
      plan.changed('vary');
    };
    const signature = () => JSON.stringify([plan.form.models[0], plan.form.method, plan.form.methods, plan.form.adjust, plan.form.recipe.length, plan.form.parameters, plan.form.vary]);

    const number = (text, label, act) => {
      const input = el('input', { class: 'optim-input', value: text, spellcheck: 'false', inputmode: 'decimal', 'aria-label': label, on: { change: () => act(input.value.trim()) } });
      return input;
    };
    const otherwise = (row) => {
      const same = rows.find((other) => other.parameter === row.parameter && parts(other.bound));
      return same ? same.bound : '0..1';
    };
    const middle = (bound) => {
      const found = parts(bound);
      const number = found ? (Number(found[1]) + Number(found[2])) / 2 : NaN;
      return Number.isFinite(number) ? `=${number}` : '=0.5';
    };
    const cells = (row) => {
      const change = (next) => edit({ blocks: row.block, how: row.how, bound: row.bound, group: row.group, ...next });
      if (row.how === 'keep') return [el('span', { class: 'optim-note', text: 'not merged' })];
      if (row.how === 'fixed') return [number(row.bound.slice(1), `Value of ${row.block}`, (text) => change({ bound: `=${text}` }))];
      const found = parts(row.bound);
      if (!found) return [number(row.bound, `Choices of ${row.block}`, (text) => change({ bound: text }))];
      return [
        number(found[1], `Lowest ${row.block}`, (text) => change({ bound: `${text}..${found[2]}${found[3]}` })),
        number(found[2], `Highest ${row.block}`, (text) => change({ bound: `${found[1]}..${text}${found[3]}` })),
      ];
    };
    const track = (row, low, high) => {
      const found = parts(row.bound);
      const [from, to] = row.how === 'fixed' ? [Number(row.value), Number(row.value)] : found ? [Number(found[1]), Number(found[2])] : [NaN, NaN];
      const at = (x) => `${(100 * (x - low)) / (high - low)}%`;
      const fill = Number.isFinite(from) && row.how !== 'keep' ? el('i', { class: row.how === 'fixed' ? 'optim-track-point' : '', style: `left: ${at(from)}; right: calc(100% - ${at(to)})` }) : null;
      return el('div', { class: 'optim-track', 'aria-hidden': 'true', title: row.bound }, fill);
    };
    const line = (row, low, high) => {
      const groups = [...new Set(rows.filter((other) => other.how === 'group' && other.parameter === row.parameter).map((other) => other.group))];
      const select = el('select', { class: 'optim-input', 'aria-label': `What ${row.block} does`, disabled: row.tensor, on: { change: () => {
        const group = select.value.startsWith('group ') ? select.value.slice(6) : '';
        const like = rows.find((other) => other.group === group && other.parameter === row.parameter);
        const range = parts(row.bound) ? row.bound : otherwise(row);
        edit({ blocks: row.block, how: group ? 'group' : select.value, group, bound: group ? like.bound : select.value === 'fixed' ? middle(range) : range });
      } } }, ...HOW.map(([id, text]) => el('option', { value: id, text })), ...groups.map((group) => el('option', { value: `group ${group}`, text: group })));
      select.value = row.how === 'group' ? `group ${row.group}` : row.how;
      const inputs = el('div', { class: 'optim-block-cells' }, ...cells(row));
      if (row.tensor) inputs.querySelectorAll('input').forEach((input) => (input.disabled = true));
      return el('div', { class: `optim-block-row optim-block-${row.how}`, 'data-block': row.block }, el('span', { class: 'optim-block-name', text: row.block, title: row.title }), select, inputs, track(row, low, high));
    };
    const drawRows = () => {
      const here = rows.filter((row) => row.parameter === which.value);
      tabs.draw([...new Set(here.map((row) => row.component))]);
      const mine = here.filter((row) => tabs.shows(row.component));
      const ends = mine.flatMap((row) => (row.how === 'fixed' ? [Number(row.value)] : (parts(row.bound) || []).slice(1, 3).map(Number))).filter(Number.isFinite);
      const [low, high] = [Math.min(0, ...ends), Math.max(1, ...ends)];
      const left = mine.length - MOST;
      body.replaceChildren(...mine.slice(0, MOST).map((row) => line(row, low, high)),
        ...(left > 0 ? [el('div', { class: 'optim-note', text: `and ${left} more tensors` })] : []));
    };

    node.addEventListener('toggle', () => draw());
    const draw = () => {
      const curved = plan.form.vary.mode === 'curve' || (plan.form.vary.mode === 'custom' && /curve/.test(plan.form.vary.custom));
      if (!plan.methods || !(node.open || curved)) return;
      const now = signature();
      if (now === asked) return;
      asked = now;
      clearTimeout(timer);
      timer = setTimeout(refresh, 300);
    };
    // The guide as a file: what is in it now, whatever the mode.
    const current = async () => {
      const answer = await optim.post('guide', { form: plan.form });
      return answer.problems.length ? { problems: answer.problems } : { file: answer.file };
    };
    return { node, draw, current, hearCurves: (act) => { onCurves = act; } };
  };

  optim.guideFiles = (plan, table) => {
    const said = el('div', { class: 'optim-error', id: 'optim_guide_said', hidden: true });
    const say = (problems) => {
      optim.setText(said, problems.join(' '));
      optim.show(said, problems.length);
    };
    const input = el('input', { type: 'file', id: 'optim_guide_file', accept: '.yaml,.yml,.json,.txt', hidden: true, on: { change: async () => {
      const chosen = input.files[0];
      input.value = '';
      if (!chosen) return;
      if (chosen.size > 500000) return say([`${chosen.name} is too large to be a guide.`]);
      say([]);
      Object.assign(plan.form.vary, { mode: 'custom', custom: await chosen.text() });
      plan.changed('vary');
    } } });
    const load = optim.button('optim_load_guide', 'Load guide …', () => input.click(), 'small', 'A guide file (YAML or JSON), or Custom lines');
    const save = optim.button('optim_save_guide', 'Save guide', async () => {
      const answer = await table.current().catch((error) => ({ problems: [error.message] }));
      say(answer.problems || []);
      if (!answer.file) return;
      const link = el('a', { href: URL.createObjectURL(new Blob([answer.file], { type: 'text/yaml' })), download: 'guide.yaml' });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    }, 'small', 'What is varied here, as a YAML file');
    return { buttons: [load, save, input], said };
  };
})();
