// The queue of runs: the list, what each waits for, and lines "A + B = name" that become runs.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;
  const STATES = { waiting: '', running: 'runs', done: 'done', stopped: 'stopped', failed: 'failed' };
  const OPEN = ['waiting', 'stopped', 'failed'];

  // form(): what the form says now; say(sentences): good news; fail(error); started(): a run may have begun.
  optim.queueCard = ({ form, say, fail, started }) => {
    let queue = { going: false, sentence: '', items: [] };
    let asked = 0;
    let drawn = '';
    let ready = false;

    const take = (answer) => {
      const before = queue.items.length;
      queue = answer;
      draw();
      if (queue.items.length > before) section.open();
    };
    const load = async () => {
      const round = (asked += 1);
      const answer = await optim.get('queue');
      if (round === asked) take(answer);
    };
    const command = async (name, more) => {
      try {
        asked += 1; // an answer that is still on its way is older
        take(await optim.post('queue_command', { command: name, ...more }));
        if (name === 'go_on') started();
      } catch (error) {
        fail(error);
      }
    };
    const add = async (more) => {
      asked += 1;
      const { added, queue: now } = await optim.post('queue_add', { form: form(), ...more });
      take(now);
      say([`${added.length === 1 ? 'One run is' : `${added.length} runs are`} in the queue${now.going ? '' : '; nothing begins before you run it'}.`]);
    };

    const mark = (id, text, label, act) => {
      const button = optim.button(id, text, act, 'small', label);
      button.setAttribute('aria-label', label);
      return button;
    };
    const rowOf = (row, number) => {
      const open = OPEN.includes(row.state);
      const first = queue.items.find((one) => OPEN.includes(one.state));
      const last = queue.items[queue.items.length - 1];
      const buttons = open ? [
        mark(null, '↑', `${row.name}: run it earlier`, () => command('move', { id: row.id, by: -1 })),
        mark(null, '↓', `${row.name}: run it later`, () => command('move', { id: row.id, by: 1 })),
      ] : [];
      if (open) {
        optim.setDisabled(buttons[0], row.id === first.id);
        optim.setDisabled(buttons[1], row.id === last.id);
      }
      if (row.state !== 'running') buttons.push(mark(null, '✕', `Take ${row.name} out of the queue`, () => command('remove', { id: row.id })));
      const made = `${row.models.join(' + ')}${row.saves ? ` = ${row.saves}` : ''} · ${optim.plural(row.trials, 'trial')}`;
      return el('li', { class: `optim-queue-row optim-queue-${row.state}` },
        el('span', { class: 'optim-note', text: `${number}.` }),
        el('div', { class: 'optim-queue-what' },
          el('div', { class: 'optim-queue-name' }, el('b', { text: row.name, title: row.name }), STATES[row.state] ? el('span', { class: 'optim-badge', text: STATES[row.state] }) : null),
          el('div', { class: 'optim-help', text: made }),
          row.sentence ? el('div', { class: row.state === 'failed' ? 'optim-error' : 'optim-help', text: row.sentence }) : null),
        el('div', { class: 'optim-queue-acts' }, ...buttons));
    };

    const run = optim.button('optim_queue_run', 'Run the queue', () => command(queue.going ? 'pause' : 'go_on'), 'small');
    const lines = optim.button('optim_queue_lines', 'Add lines …', () => ask(), 'small', 'A + B = name, a run per line, with the settings of the form');
    const clear = optim.button('optim_queue_clear', 'Clear finished', () => command('clear'), 'small');
    const sentence = el('div', { class: 'optim-help', id: 'optim_queue_sentence', role: 'status' });
    const list = el('ol', { class: 'optim-queue', id: 'optim_queue' });
    const section = optim.section({ id: 'optim_queue_card', title: 'Queue', open: false },
      list, sentence, el('div', { class: 'optim-row optim-tight' }, run, lines, clear));

    const draw = () => {
      const signature = JSON.stringify([queue, ready]);
      if (signature === drawn) return;
      drawn = signature;
      const open = queue.items.filter((row) => OPEN.includes(row.state)).length;
      list.replaceChildren(...queue.items.map((row, i) => rowOf(row, i + 1)));
      optim.show(list, queue.items.length);
      optim.setText(sentence, queue.sentence || (queue.items.length ? '' : 'Runs that are added here run one after another. A later one can take the winner of an earlier one as a model.'));
      optim.show(sentence, sentence.textContent);
      optim.setText(run, queue.going ? 'Pause the queue' : 'Run the queue');
      run.title = queue.going ? 'The run that is going on goes on; no other one begins' : 'One after another; what stopped or failed is taken up again';
      optim.setDisabled(run, !queue.going && !open);
      optim.setDisabled(lines, !ready);
      optim.setDisabled(clear, !queue.items.some((row) => row.state === 'done'));
      section.summary(open ? `${optim.plural(open, 'run')} to come${queue.going ? '' : ', not running'}` : queue.going ? 'the last run is going on' : 'empty');
    };

    const ask = () => {
      const text = el('textarea', { id: 'optim_queue_text', class: 'optim-input optim-code', rows: 6, spellcheck: 'false', 'aria-label': 'Merges, one per line', placeholder: 'modelA + modelB = name1\nname1 + modelC = name2' });
      text.value = optim.recall('queue_lines', '');
      const problems = el('div', { class: 'optim-stack', id: 'optim_queue_problems', role: 'alert' });
      const go = optim.button('optim_queue_add_lines', 'Add to the queue', async () => {
        optim.setDisabled(go, true);
        optim.remember('queue_lines', text.value);
        problems.replaceChildren();
        try {
          await add({ lines: text.value });
          optim.remember('queue_lines', '');
          box.close();
        } catch (error) {
          const sentences = error.problems && error.problems.length ? error.problems.map((one) => one.sentence) : [error.message];
          problems.replaceChildren(...sentences.map((one) => el('div', { class: 'optim-error', text: one })));
        }
        optim.setDisabled(go, false);
      }, 'primary');
      const box = optim.dialog('Runs from lines', el('div', { class: 'optim-stack' },
        el('div', { class: 'optim-help', text: 'Each line is a run with the settings of the form as it stands: method, what to vary, prompts, judges and budget. Its winner is saved as a checkpoint with the name behind the equals sign, which other lines may take as a model; the order of the lines does not matter.' }),
        text, problems, el('div', { class: 'optim-row' }, go)));
      box.id = 'optim_queue_dialog';
      text.focus();
    };

    draw();
    return {
      node: section.node,
      add: () => add({}).catch(fail),
      setReady: (on) => {
        ready = on;
        draw();
      },
      load: () => load().catch(() => {}),
      wants: () => queue.going || queue.items.some((row) => row.state === 'running'),
    };
  };
})();
