// Try judges on pictures that the user sorted: three piles, what each judge thinks of them, the weights that agree best.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;
  const PILES = [
    { grade: 2, id: 'good', title: 'Good' },
    { grade: 1, id: 'middling', title: 'Middling' },
    { grade: 0, id: 'bad', title: 'Bad' },
  ];
  const TYPES = ['image/png', 'image/jpeg', 'image/webp'];
  const percent = (share) => `${Math.round(share * 100)} %`;

  // What was sorted stays while the page does, so that closing the dialog loses nothing.
  const samples = []; // {file, grade, url}
  let prompt = '';
  let session = '';

  // `use` takes the rows of the judges that the user wants.
  optim.calibrate = (plan, use) => {
    const open = optim.button('optim_calibrate', 'Try judges on your own pictures …', () => show(plan, use), 'small', 'Sort some pictures into good and bad, and see which judges agree with you');
    return el('div', { class: 'optim-row' }, open);
  };

  const show = (plan, use) => {
    let timer = 0;
    const note = el('div', { class: 'optim-help', text: 'Drop pictures of the kind that your merges shall make. Ten of each pile tell a lot; three are the least for weights. Nothing is generated or kept.' });
    const error = el('div', { class: 'optim-error', hidden: true });
    const results = el('div', { class: 'optim-stack', id: 'optim_calibrate_results' });
    const at = el('span', { class: 'optim-note', id: 'optim_calibrate_at' });

    const strips = PILES.map((pile) => {
      const pictures = el('div', { class: 'optim-pile-pictures' });
      const input = el('input', { type: 'file', multiple: true, accept: TYPES.join(','), hidden: true, id: `optim_pile_${pile.id}_files`, on: { change: () => take(input.files, pile.grade) } });
      const pick = optim.button(`optim_pile_${pile.id}`, 'Choose …', () => input.click(), 'small');
      const count = el('span', { class: 'optim-note' });
      const node = el('div', {
        class: `optim-pile optim-pile-${pile.id}`,
        on: {
          dragover: (event) => {
            event.preventDefault();
            node.classList.add('optim-over');
          },
          dragleave: () => node.classList.remove('optim-over'),
          drop: (event) => {
            event.preventDefault();
            node.classList.remove('optim-over');
            take(event.dataTransfer.files, pile.grade);
          },
        },
      }, el('div', { class: 'optim-pile-head' }, el('b', { text: pile.title }), count, pick, input), pictures);
      return { pile, node, pictures, count };
    });
    const take = (files, grade) => {
      const taken = [...files].filter((file) => TYPES.includes(file.type));
      samples.push(...taken.map((file) => ({ file, grade, url: URL.createObjectURL(file) })));
      session = '';
      fail(taken.length < files.length ? 'PNG, JPEG and WebP pictures are taken; the others were left out.' : '');
      drawPiles();
    };
    const drawPiles = () => {
      for (const { pile, pictures, count } of strips) {
        const own = samples.filter((sample) => sample.grade === pile.grade);
        count.textContent = own.length ? String(own.length) : '';
        pictures.replaceChildren(...own.map((sample) => el('button', {
          type: 'button', class: 'optim-pile-picture', title: `${sample.file.name}: take out`, 'aria-label': `Take out ${sample.file.name}`,
          on: {
            click: () => {
              samples.splice(samples.indexOf(sample), 1);
              URL.revokeObjectURL(sample.url);
              session = '';
              drawPiles();
            },
          },
        }, el('img', { src: sample.url, alt: '' }))), ...(own.length ? [] : [el('span', { class: 'optim-note', text: 'Drop pictures here' })]));
      }
      optim.setDisabled(start, !ready());
    };
    const ready = () => samples.length > 1 && new Set(samples.map((sample) => sample.grade)).size > 1 && boxes.some(({ box }) => box.checked);

    const text = el('input', { type: 'text', id: 'optim_calibrate_prompt', class: 'optim-input', value: prompt, spellcheck: 'false', on: { input: () => { prompt = text.value; session = ''; } } });
    const chosen = new Set(plan.form.scorers.map((row) => row.id));
    const rows = plan.setup.scorers.filter((row) => row.id !== 'manual' && !row.across);
    const boxes = rows.map((row) => {
      const box = el('input', { type: 'checkbox', value: row.id, checked: chosen.has(row.id), on: { change: () => optim.setDisabled(start, !ready()) } });
      return { row, box, node: el('label', { class: 'optim-check', title: row.measures }, box, el('span', { text: row.title })) };
    });

    const own = (id) => plan.form.scorers.find((row) => row.id === id) || { id, options: {} };

    const fail = (sentence) => {
      error.textContent = sentence;
      optim.show(error, sentence);
    };
    const send = async () => {
      const mine = optim.requestId();
      for (const [i, sample] of samples.entries()) {
        at.textContent = `Reading ${i + 1} of ${samples.length} …`;
        await optim.post('calibrate_sample', { session: mine, name: sample.file.name, grade: sample.grade, prompt, data: await optim.base64(sample.file) });
      }
      session = mine;
    };
    const begin = async () => {
      fail('');
      optim.setDisabled(start, true);
      try {
        if (!session) await send();
        const scorers = boxes.filter(({ box }) => box.checked).map(({ row }) => ({ ...own(row.id), weight: 1 }));
        draw(await optim.post('calibrate', { session, form: { scorers } }));
      } catch (problem) {
        session = '';
        at.textContent = '';
        fail(problem.problems && problem.problems.length ? problem.problems[0].sentence : problem.message);
        optim.setDisabled(start, !ready());
      }
    };
    const start = optim.button('optim_calibrate_start', 'Ask the judges', begin, 'primary');

    const draw = (answer) => {
      clearTimeout(timer);
      const running = answer.state === 'running';
      at.textContent = running ? answer.at : '';
      optim.setDisabled(start, running || !ready());
      // Only results of the very pictures that are shown: another page may have sent its own meanwhile.
      const ours = answer.session === session && answer.samples.length === samples.length;
      results.replaceChildren(...(ours ? answer.judges.map(judgeRow) : []), ...(ours && answer.suggestion ? [advice(answer)] : []));
      if (running && box.isConnected) timer = setTimeout(() => optim.get('calibrate').then(draw, (problem) => fail(problem.message)), 700);
    };
    // One row per judge: its pictures from the worst to the best, framed by the pile that the user put them on.
    const judgeRow = (judge) => {
      const order = judge.raw.map((raw, i) => ({ raw, sample: samples[i] })).filter((one) => one.raw !== null)
        .sort((a, b) => (a.raw - b.raw) * (judge.lower_is_better ? -1 : 1));
      const verdict = judge.share === null ? '' : `orders ${percent(judge.share)} of the pairs as you do${judge.sure ? '' : '; could be chance'}`;
      return el('div', { class: 'optim-opinion', 'data-judge': judge.id },
        el('div', { class: 'optim-opinion-head' }, el('b', { text: judge.title }), el('span', { class: `optim-note${judge.sure ? ' optim-sure' : ''}`, text: verdict })),
        judge.problem ? el('div', { class: 'optim-error', text: judge.problem }) : null,
        order.length ? el('div', { class: 'optim-opinion-strip' }, el('span', { class: 'optim-note', text: 'worst' }),
          ...order.map(({ raw, sample }) => el('img', { src: sample.url, alt: `${sample.file.name}: ${optim.number(raw)}`, title: `${sample.file.name}: ${optim.number(raw)}`, class: `optim-frame-${PILES.find((pile) => pile.grade === sample.grade).id}` })),
          el('span', { class: 'optim-note', text: 'best' })) : null);
    };
    const advice = (answer) => {
      const { weights, share, reason } = answer.suggestion;
      const names = Object.entries(weights).sort((a, b) => b[1] - a[1]);
      const titleOf = (id) => rows.find((row) => row.id === id).title;
      const words = names.length ? names.map(([id, weight]) => `${titleOf(id)} × ${weight}`).join(' + ') : '';
      return el('div', { class: 'optim-advice', id: 'optim_calibrate_advice' },
        words ? el('div', {}, el('b', { text: 'Suggested: ' }), words, el('span', { class: 'optim-note', text: ` orders ${percent(share)} of the pairs as you do${names.length > 1 ? ', on pictures that the weights had not seen' : ''}.` })) : null,
        reason ? el('div', { class: 'optim-help', text: reason }) : null,
        words ? el('div', { class: 'optim-row' }, optim.button('optim_calibrate_use', 'Use these judges', () => {
          const eyes = plan.form.scorers.filter((row) => row.id === 'manual');
          use([...names.map(([id, weight]) => ({ ...own(id), weight })), ...eyes]);
          box.close();
        }, 'primary')) : null);
    };

    const box = optim.dialog('Which judges agree with you?', note,
      el('div', { class: 'optim-piles' }, ...strips.map((strip) => strip.node)),
      optim.field('Prompt, for judges that read it', text, 'Pictures made by a WebUI bring their own.'),
      el('div', { class: 'optim-calibrate-judges', role: 'group', 'aria-label': 'Judges to ask' }, ...boxes.map(({ node }) => node)),
      el('div', { class: 'optim-row optim-calibrate-start' }, start, at), error, results);
    box.classList.add('optim-wide');
    box.id = 'optim_calibrate_dialog';
    box.addEventListener('close', () => {
      clearTimeout(timer);
      optim.post('calibrate_stop').catch(() => {});
      session = '';
    });
    drawPiles();
  };
})();
