// Learn my taste: a folded card below the rating panel. Train, see how far it agrees, save, ask less; and ratings as files.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  // attempt(act): shows what goes wrong; onCommand(name); onSay(sentences): a good notice.
  optim.tasteCard = ({ attempt, onCommand, onSay }) => {
    let view = null; // {folder, canAskLess, asksLess, offline}
    let known = null; // the program's last answer
    let timer = 0;
    let asking = false;

    const counts = el('div', { class: 'optim-note', id: 'optim_taste_counts' });
    const others = el('div', { class: 'optim-stack optim-tight', id: 'optim_taste_runs' });
    const way = el('select', { id: 'optim_taste_way', class: 'optim-input' });
    const train = optim.button('optim_taste_train', 'Train', () => attempt(async () => {
      const job = await optim.post('taste', { folders: chosen(), way: way.value });
      show({ ...known, job });
      refresh();
    }), '', 'Learn what you like from your ratings');
    const result = el('div', { class: 'optim-note', id: 'optim_taste_result', role: 'status' });
    const name = el('input', { id: 'optim_taste_name', class: 'optim-input', type: 'text', maxlength: 60, placeholder: 'Name', 'aria-label': 'Save as' });
    const save = optim.button('optim_taste_save', 'Save as', () => attempt(async () => {
      const answer = await optim.post('taste_save', { name: name.value });
      onSay([`Saved as ${answer.path}. To use it, tick the judge My taste and give it the name ${answer.name}.`]);
      name.value = '';
      refresh();
    }), '', 'Keep it, for this run and others');
    const saveRow = el('div', { class: 'optim-taste-row', hidden: true }, name, save);
    const saved = el('div', { class: 'optim-stack optim-tight', id: 'optim_taste_saved' });
    const less = optim.check('optim_taste_less', 'Ask me only about uncertain or promising images', (on) => onCommand(on ? 'ask_less' : 'ask_all'),
      'The others are left to My taste, and marked so; you can rate them later');
    const lessNote = el('div', { class: 'optim-help', id: 'optim_taste_less_note' });
    const link = (kind) => el('a', { class: 'optim-button optim-small', id: `optim_ratings_${kind}`, download: '', href: '#', text: `Ratings as ${kind.toUpperCase()}` });
    const csv = link('csv');
    const json = link('json');
    const section = optim.section({ id: 'optim_taste', title: 'Learn my taste', open: false },
      el('div', { class: 'optim-help', text: 'From 20 rated images on, a small model learns what you like. Saved, it can judge in any run: tick My taste among the judges.' }),
      counts, others, el('div', { class: 'optim-taste-row' }, optim.field('Look at images by', way), train), result, saveRow, saved, less.node, lessNote,
      el('div', { class: 'optim-taste-row' }, csv, json));
    section.node.classList.add('optim-taste');
    section.body.classList.add('optim-stack');
    section.node.hidden = true;

    const chosen = () => [view.folder, ...[...others.querySelectorAll('input:checked')].map((box) => box.value)];
    const total = () => (known ? known.rated + (known.runs || []).filter((row) => chosen().includes(row.folder)).reduce((sum, row) => sum + row.rated, 0) : 0);
    const agreement = (row) => (row.agreement === null || row.agreement === undefined ? 'no agreement can be told' : `agreement ${row.agreement.toFixed(2)}`);
    const worth = (value) => (value >= 0.6 ? 'good' : value >= 0.3 ? 'fair, more ratings help' : 'weak, rate more before you rely on it');

    const drawTrain = () => {
      const running = known.job.state === 'running';
      optim.setDisabled(train, view.offline || running || total() < known.least);
      train.title = total() < known.least ? `${total()} images are rated; ${known.least} are needed` : 'Learn what you like from your ratings';
      const more = total() > known.rated ? `, ${total()} with the other runs` : '';
      const left = known.left ? ` · ${known.left} left to the judges` : '';
      optim.setText(counts, `${optim.plural(known.rated, 'image')} rated in this run${more}${left}${total() < known.least ? ` · ${known.least} are needed to train` : ''}`);
      section.summary(running ? 'training …' : `${known.rated} rated${known.tastes.length ? ` · ${known.tastes.length} saved` : ''}`);
    };
    const drawResult = () => {
      const { job } = known;
      const parts = job.state === 'running' ? [`Looking at images: ${job.done} of ${job.total}`]
        : job.state === 'failed' ? [job.text]
          : job.state === 'done' ? [`${job.agreement === null ? 'No agreement can be told' : `Agreement ${job.agreement.toFixed(2)}`} on images that it had not seen (rank correlation, cross-validated, n = ${job.ratings})${job.agreement === null ? '' : `: ${worth(job.agreement)}`}`, `looked at by ${job.embedding}`, ...(job.gone ? [`${optim.plural(job.gone, 'rated image')} could not be read`] : [])]
            : [];
      optim.setText(result, parts.join(' · '));
      optim.setClass(result, 'optim-warning', job.state === 'failed' || (job.state === 'done' && !(job.agreement >= 0.3)));
      optim.show(result, parts.length);
      optim.show(saveRow, job.state === 'done');
    };
    let drawnSaved = '';
    const drawSaved = () => {
      const signature = JSON.stringify(known.tastes);
      if (signature === drawnSaved) return;
      drawnSaved = signature;
      saved.replaceChildren(...(known.tastes.length ? [el('span', { class: 'optim-label', text: 'Saved tastes' })] : []), ...known.tastes.map((row) => el('div', { class: row.problem ? 'optim-error' : 'optim-note' },
        el('b', { text: row.name }), row.problem ? `: ${row.problem}` : ` · ${row.ratings} ratings · ${agreement(row)} · ${row.embedding} · ${row.date}`)));
    };
    let drawnRuns = '';
    const drawRuns = () => {
      const signature = JSON.stringify(known.runs);
      if (signature === drawnRuns) return;
      drawnRuns = signature;
      const ticked = new Set([...others.querySelectorAll('input:checked')].map((box) => box.value));
      others.replaceChildren(...(known.runs || []).map((row) => {
        const box = el('input', { type: 'checkbox', value: row.folder, checked: ticked.has(row.folder), on: { change: drawTrain } });
        return el('label', { class: 'optim-check' }, box, el('span', { text: `and ${row.folder} (${row.rated} rated)` }));
      }));
    };
    const drawWays = () => {
      if (way.options.length) return;
      way.replaceChildren(...known.ways.map((row) => el('option', { value: row.id, text: row.title, disabled: Boolean(row.problem), title: row.problem || '' })));
      way.value = known.way;
    };
    const show = (answer) => {
      known = answer;
      drawWays();
      drawRuns();
      drawTrain();
      drawResult();
      drawSaved();
    };
    const refresh = async (runs) => {
      clearTimeout(timer);
      if (asking || !view || section.node.hidden || !section.node.open) return;
      asking = true;
      const { folder } = view;
      try {
        const answer = await optim.get(`taste?folder=${encodeURIComponent(folder)}${runs === true ? '&runs=1' : ''}`);
        if (view && folder === view.folder) show({ ...answer, runs: answer.runs || (known && known.runs) || [] });
      } catch {
        // The bar says that the program does not answer; the next round asks again.
      }
      asking = false;
      timer = setTimeout(refresh, known && known.job.state === 'running' ? 700 : 3000);
    };
    section.node.addEventListener('toggle', () => refresh(true));

    return {
      node: section.node,
      // shown: whether the run is judged by hand; view as above.
      draw: (shown, next) => {
        const other = !view || view.folder !== next.folder;
        view = next;
        optim.show(section.node, shown);
        if (!shown) return;
        if (other) {
          known = null;
          drawnRuns = drawnSaved = '';
          for (const node of [counts, result]) optim.setText(node, '');
          others.replaceChildren();
          section.summary('');
          for (const [node, kind] of [[csv, 'csv'], [json, 'json']]) node.href = optim.url(`api/ratings?folder=${encodeURIComponent(next.folder)}&format=${kind}`);
          refresh(true);
        }
        less.box.checked = next.asksLess;
        optim.setDisabled(less.box, next.offline || !next.canAskLess);
        optim.setText(lessNote, next.canAskLess ? '' : 'For a run that both My own eyes and My taste judge.');
        optim.show(lessNote, !next.canAskLess);
      },
    };
  };
})();
