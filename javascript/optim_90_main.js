// Puts the tab together once its frame is on the page, and connects form, live view and commands.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, tr } = optim;
  const RESTING = ['idle', 'finished', 'failed'];

  const mount = (root) => {
    const store = { snapshot: null, trials: new Map(), revision: 0, key: '', offline: false, newRun: false };
    const saving = new Set();
    let picked = null; // trial that the user clicked, or null to follow the current one
    let starting = false;
    let viewer = null;
    let planCheck = { timer: 0, round: 0 };

    const notices = optim.parts.notices();
    const fail = (error) => {
      const sentences = error.problems && error.problems.length ? error.problems.map((p) => p.sentence) : [error.message];
      notices.put(sentences, 'error');
      form.markProblems(error.problems || []);
    };
    const attempt = async (act) => {
      try {
        return await act();
      } catch (error) {
        fail(error);
        return null;
      }
    };

    // --- commands -----------------------------------------------------------------------------------------------
    const start = async () => {
      if (starting || !form.ready()) return;
      starting = true;
      draw();
      notices.put(null);
      form.markProblems([]);
      await attempt(() => optim.post('start', { form: form.value() }));
      starting = false;
      picked = null;
      poller.now();
    };
    const startPlan = async (plan) => {
      await optim.post('start', { plan });
      notices.put(null);
      picked = null;
      poller.now();
    };
    const command = (name) => attempt(async () => {
      notices.put(null);
      await optim.post('command', { command: name });
      poller.now();
    });
    const resume = (folder, verify) => attempt(async () => {
      notices.put(null);
      await optim.post('command', { command: 'resume', folder, verify: Boolean(verify) });
      picked = null;
      poller.now();
    });
    const change = () => attempt(async () => {
      notices.put(null);
      form.markProblems([]);
      const answer = await optim.post('command', { command: 'change', form: form.value() });
      notices.put([tr('Pass {pass} begins after the trial under way.', { pass: answer.pass })], 'good');
      poller.now();
    });
    const fork = (folder, how) => attempt(async () => {
      notices.put(null);
      const answer = await optim.post('fork', { folder, form: form.value(), ...how });
      notices.put([`${answer.folder}: ${answer.taken}`], 'good');
      picked = null;
      poller.now();
    });
    const save = async (number, how) => {
      saving.add(number);
      draw();
      const answer = await attempt(() => optim.post('command', { command: 'save_trial', trial: number, ...how }));
      saving.delete(number);
      if (answer) notices.put([tr('Trial {number} is saved as {path}.', { number, path: answer.path }), ...(answer.notes || [])], 'good');
      poller.now();
    };

    const saveAs = (number) => optim.saveDialog(number, form.value().save, form.vaes(), save);

    // --- check --------------------------------------------------------------------------------------------------
    const explain = async () => {
      const result = await attempt(() => optim.post('check', { form: form.value() }));
      if (!result) return;
      form.markProblems(result.problems);
      optim.showCheck(result);
    };
    // The same check, quietly, while the form is being filled in: one line of what it comes to.
    const quietCheck = () => {
      tried.formChanged();
      clearTimeout(planCheck.timer);
      planCheck.timer = setTimeout(async () => {
        if (!form.ready() || store.offline) return;
        const round = (planCheck.round += 1);
        let result;
        try {
          result = await optim.post('check', { form: form.value() });
        } catch (error) {
          result = { problems: error.problems && error.problems.length ? error.problems : [{ sentence: error.message }], parameters: [] };
        }
        if (round !== planCheck.round) return;
        const n = result.problems.length;
        form.setNotes(n ? [] : result.warnings, n ? [] : result.notes, result.base || null);
        if (n) {
          form.setPlanLine(n === 1 ? result.problems[0].sentence : tr('{n} things to put right: {first}', { n, first: result.problems[0].sentence }), true, '');
          return;
        }
        const images = result.images_per_trial;
        form.setStarts(result.design);
        const later = (result.passes || []).slice(1);
        const more = later.map((row, i) => ` + ${row.trials} × ${row.images_per_trial} ${tr('(pass {n})', { n: i + 2 })}`).join('');
        const again = result.verify_images ? ` + ${tr('{n} to verify', { n: result.verify_images })}` : '';
        const split = result.design && result.trials > result.design ? ` (${result.design} + ${result.trials - result.design})` : '';
        form.setPlanLine(`${optim.count(result.trials, '{n} trial', '{n} trials')}${split} × ${optim.count(images, '{n} image', '{n} images')}${more}${again} = ${optim.count(result.trials * images + later.reduce((sum, row) => sum + row.trials * row.images_per_trial, 0) + result.verify_images, '{n} image', '{n} images')}${result.time ? ` · ${tr('about {time}', { time: optim.duration(result.time.seconds) })}` : ''}`, false, optim.count(result.parameters.length, '{n} parameter', '{n} parameters'));
      }, 400);
    };

    // --- parts --------------------------------------------------------------------------------------------------
    const form = optim.parts.form({ onChange: quietCheck, onStart: start, onCheck: explain, onResume: resume, onChangeRun: change, onFork: fork, onQueued: () => poller.now(), onStartPlan: startPlan, onTry: (point) => tried.load(point), onSay: (sentences) => notices.put(sentences, 'good'), onFail: fail });
    const bar = optim.parts.bar({ onStart: start, onCommand: command });
    const plot = optim.scorePlot((number) => {
      picked = picked === number ? null : number;
      poller.now();
      draw();
    });
    const calibration = optim.calibrationTable();
    const watched = optim.watchedNotes();
    const imagesOf = (number) => (store.snapshot && store.snapshot.images[String(number)]) || trialsCard.images(number);
    const open = (number, index) => {
      const folder = store.snapshot.run.folder;
      const ratings = () => store.snapshot.run.ratings; // of a run that has ended, too
      viewer = optim.openViewer(() => ({ folder, trial: number, images: imagesOf(number), ratings: ratings() }), index, judge, { ...rater, blind }, (picture, close) => optim.pictureActions(picture, {
        canSave: ['complete', 'waiting'].includes((store.trials.get(number) || {}).state), onFail: fail, onSent: close,
        onSave: (trial) => {
          close();
          save(trial);
        },
      }));
      viewer.box.addEventListener('close', () => {
        viewer = null;
      });
    };
    const say = (sentences) => notices.put(sentences, 'good');
    const tried = optim.tryCard({ form, onSay: say, onFail: fail });
    const parents = optim.parentActions({ form, attempt, onSay: say, tried });
    const ofTrial = (id, number) => parents.row(id, () => ({ folder: store.snapshot.run.folder, trial: number() }), { go: tr('Try this trial'), use: tr('Use') });
    form.setEarlierMore((which) => parents.row('optim_run_take', which, { go: tr('Try its winner'), use: tr('Winner') }));
    const said = optim.opinions(() => {
      draw();
      poller.now();
    }, fail);
    const judge = optim.sitting(said, {
      folder: () => store.snapshot.run.folder,
      ratings: () => store.snapshot.run.ratings,
      image: (trial, index) => imagesOf(trial).find((image) => image.index === index),
    });
    const rater = optim.rater({ judge, onCommand: command, onDraw: () => draw() });
    const comparer = optim.comparer({ opinions: said, settings: rater.settings, onCommand: command, onDraw: () => draw() });
    const blind = () => rater.blind() || comparer.blind();
    const taste = optim.tasteCard({ attempt, onCommand: command, onSay: (sentences) => notices.put(sentences, 'good') });
    const current = optim.parts.trialCard({
      id: 'optim_current', onOpen: open, onSave: (number) => save(number), onSaveAs: saveAs, onFail: fail, actions: ofTrial,
      onFollow: () => {
        picked = null;
        draw();
      },
    });
    const best = optim.parts.trialCard({ id: 'optim_best', onOpen: open, onSave: (number) => save(number), onSaveAs: saveAs, onFail: fail, actions: ofTrial });
    const verdict = optim.verdictCard((number) => {
      picked = number;
      poller.now();
      draw();
    });
    const saved = el('div', { class: 'optim-stack', id: 'optim_saved' });
    const errors = el('div', { class: 'optim-stack', id: 'optim_errors' });
    const logCard = el('section', { class: 'optim-card', hidden: true }, saved, errors);
    const runLog = optim.logCard();
    const selftest = optim.parts.selftest(attempt);
    const settings = optim.settings({ root, use: () => once.draw() });
    const manners = optim.manners({ root, settings });
    const legend = el('div', { class: 'optim-legend' },
      ...[['optim-key-preset', tr('preset')], ['optim-key-trial', tr('proposed')], ['optim-key-best', tr('best so far')], ['optim-key-failed', tr('failed')]]
        .map(([kind, text]) => el('span', {}, el('i', { class: kind }), text)));
    const plotCard = el('section', { class: 'optim-card' },
      el('div', { class: 'optim-section-head' }, el('span', { class: 'optim-title', text: tr('Score') }), el('span', { class: 'optim-head-right' }, legend)), plot.node, watched.node, calibration.node);
    const welcome = el('section', { class: 'optim-card optim-welcome', id: 'optim_welcome' },
      el('div', { class: 'optim-welcome-title', text: tr('Find the best merge of your checkpoints') }),
      el('div', { class: 'optim-steps' },
        el('div', { class: 'optim-step' }, el('b', { text: tr('Choose model A and model B. ') }), tr('The rest has defaults that work.')),
        el('div', { class: 'optim-step' }, el('b', { text: tr('Press Start. ') }), tr('Optim merges in memory, makes the same images with every merge, and lets the judges score them. No checkpoint is written on the way.')),
        el('div', { class: 'optim-step' }, el('b', { text: tr('Watch it learn. ') }), tr('The curve, the images and the best values appear here. Pause or stop whenever you like; nothing is lost.'))),
      el('div', { class: 'optim-help', text: tr('At the end the best merge is saved, and your own model is put back as it was.') }));
    const importance = optim.importance({
      onFail: fail,
      onFreeze: (folder, names) => attempt(async () => {
        notices.put(null);
        const answer = await optim.post('freeze', { folder, freeze: names });
        const fixed = optim.count(names.length, '{n} parameter', '{n} parameters');
        if (answer.pass) {
          notices.put([tr('Pass {pass} begins after the trial under way, with {parameters} fixed at the best values so far. {left}', {
            pass: answer.pass, parameters: fixed,
            left: optim.count(answer.trials, '{n} trial of the budget is left for the rest.', '{n} trials of the budget are left for the rest.'),
          })], 'good');
          poller.now();
          return;
        }
        notices.put([tr('The run {folder} goes on from trial {best}, with {parameters} fixed at its values. {taken}', { folder: answer.folder, best: answer.best, parameters: fixed, taken: answer.taken })], 'good');
        picked = null;
        poller.now();
      }),
    });
    const pareto = optim.paretoCard({
      onSelect: () => poller.now(),
      onOpen: open,
      onChoose: (number) => attempt(async () => {
        notices.put(null);
        await optim.post('command', { command: 'choose', trial: number, folder: store.snapshot.run.folder });
        poller.now();
      }),
    });
    const trialsCard = optim.trialsCard({
      onOpen: open, onFail: fail,
      onCompare: (a, b) => attempt(async () => {
        await trialsCard.fetch([a, b]);
        const of = (number) => ({ trial: store.trials.get(number), images: trialsCard.images(number) });
        optim.compareTrials({ folder: store.snapshot.run.folder, a: of(a), b: of(b), all: [...store.trials.values()].map((trial) => trial.drawn || trial.values), blind: blind() });
      }),
    });
    const lines = optim.linesCard({
      onPick: (number) => {
        picked = number;
        poller.now();
        draw();
      },
      onList: (numbers) => trialsCard.only(numbers),
    });
    const pace = optim.paceCard();
    const live = el('div', { class: 'optim-live' }, pareto.node, plotCard, verdict.node, importance.node, lines.node, pace.node, el('div', { class: 'optim-pair' }, current.node, best.node), trialsCard.node, logCard, runLog.node);
    const right = el('div', { class: 'optim-right' }, welcome, tried.node, live);
    const once = optim.parts.settings({
      settings,
      onSaved: () => {
        notices.put([tr('The settings are saved.')], 'good');
        load();
        poller.now();
      },
    });
    const found = optim.parts.picture({
      root, attempt,
      onFound: ({ folder, trial, kept }) => {
        if (store.snapshot && store.snapshot.run && store.snapshot.run.folder === folder && store.trials.has(trial)) {
          picked = trial;
          notices.put([tr('The picture is of trial {trial}, which is shown below.', { trial })], 'good');
          poller.now();
          draw();
          return;
        }
        notices.put([kept ? tr('The picture is of trial {trial} of the run {folder}, which is chosen among the earlier runs.', { trial, folder }) : tr('The picture is of trial {trial} of the run {folder}, which is not among the runs here.', { trial, folder })], kept ? 'good' : 'error');
        if (kept) form.chooseRun(folder).catch(fail);
      },
    });
    form.node.append(selftest.node, optim.parts.report(attempt).node, el('div', { class: 'optim-row optim-tight' }, ...once.nodes, ...found.nodes));
    live.hidden = welcome.hidden = true; // until the program says which of them it is to be
    root.replaceChildren(bar.node, notices.node, rater.node, comparer.node, taste.node, el('div', { class: 'optim-columns' }, form.node, right));

    // At rest: the last trial that came to an end, rather than one that Stop cut short.
    const lastSeen = () => {
      const numbers = (list) => list.map((trial) => trial.number);
      const all = [...store.trials.values()];
      const ended = numbers(all.filter((trial) => trial.state === 'complete'));
      return all.length ? Math.max(...(ended.length ? ended : numbers(all))) : null;
    };

    // --- drawing ------------------------------------------------------------------------------------------------
    const draw = () => {
      const snapshot = store.snapshot;
      if (!snapshot) {
        bar.draw(nothingYet(), store.offline, true);
        return;
      }
      const active = !RESTING.includes(snapshot.state);
      const trials = [...store.trials.values()].sort((a, b) => a.number - b.number);
      bar.draw(snapshot, store.offline, starting || !form.ready());
      form.setRunning(active || starting || !form.ready(), active && form.ready() && snapshot.state !== 'stopping');
      tried.draw(active);
      optim.show(welcome, !snapshot.run);
      optim.show(live, snapshot.run);
      if (!snapshot.run) {
        rater.hide(); // the program began anew
        comparer.hide();
        taste.draw(false, {});
        return;
      }
      const { folder } = snapshot.run;
      const passOf = (number) => (snapshot.run.passes || []).find((row) => store.trials.has(number) && row.id === store.trials.get(number).pass);
      const totalOf = (number) => (passOf(number) || snapshot.run).images;
      const searched = trials.filter((trial) => (passOf(trial.number) || { kind: 'search' }).kind === 'search');
      const bestNumber = snapshot.best ? snapshot.best.trial : null;
      const p = snapshot.progress;
      const finished = lastSeen();
      const shown = picked !== null && store.trials.has(picked) ? picked : snapshot.current !== null ? snapshot.current : finished;
      const ofPass = (id) => searched.filter((trial) => trial.pass === id && !/^rescored/.test(trial.origin)).length;
      const begun = (snapshot.run.passes || []).filter((row) => row.kind === 'search' && row.begun);
      const now = begun[begun.length - 1];
      // Where the current pass will end, on the axis of all trials that searched.
      const total = now ? searched.length - ofPass(now.id) + Math.max(p.pass_trials, ofPass(now.id)) : snapshot.run.trials;
      plot.draw({ trials: searched, total, passes: begun.length > 1 ? begun : [], best: bestNumber, picked, active, watched: snapshot.watched, empty: active ? tr('The first score appears here') : tr('No trial was scored') });
      watched.draw(snapshot.watched, form.judges());
      calibration.draw(snapshot.calibration, form.judges());
      importance.draw({ folder, trials: now ? searched.filter((trial) => trial.pass === now.id) : searched, active, stopping: snapshot.state === 'stopping' });
      optim.show(lines.node, !blind());
      lines.draw({ key: `${store.key} ${now ? now.id : ''}`, trials: now ? searched.filter((trial) => trial.pass === now.id) : searched, best: bestNumber, picked, rows: importance.rows() });
      pace.draw({ trials });
      const bestTrial = store.trials.get(bestNumber);
      const making = active && shown === snapshot.current && p.steps ? { image: p.image - 1, part: p.step / p.steps } : null;
      current.draw({
        heading: picked !== null || active ? tr('Trial') : tr('Last trial'), number: shown, trial: store.trials.get(shown), folder,
        images: imagesOf(shown), total: totalOf(shown), step: making, compare: shown !== bestNumber && bestTrial ? bestTrial.drawn || bestTrial.values : null,
        pinned: picked !== null && active, saving, empty: tr('The images of the first trial appear here.'),
      });
      pareto.draw({ pareto: snapshot.pareto, trials: searched, folder, images: totalOf(bestNumber), best: bestNumber, verdict: snapshot.verification, imagesOf });
      verdict.draw(snapshot.verification, form.judges());
      const winner = snapshot.verification && snapshot.verification.winner === bestNumber;
      best.draw({
        heading: snapshot.pareto && snapshot.pareto.chosen === bestNumber ? tr('Choice: trial') : winner ? tr('Winner: trial') : tr('Best: trial'), number: bestNumber, trial: bestTrial, folder, images: bestNumber === null ? [] : imagesOf(bestNumber), total: totalOf(bestNumber),
        step: null, compare: null, pinned: false, saving, empty: tr('The best trial appears here once one is scored.'),
      });
      if (bestNumber === null) best.node.querySelector('.optim-title').textContent = tr('Best');
      const judging = {
        active, folder, state: snapshot.state, handedOver: snapshot.run.handed_over, canHandOver: snapshot.run.can_hand_over,
        finishing: snapshot.finishing, offline: store.offline, unsent: said.count(folder), trials: store.trials,
      };
      const judges = form.judges();
      const known = (key) => judges.find((row) => row.id === key.split(':')[0]) || null;
      optim.show(trialsCard.node, !blind());
      trialsCard.draw({
        folder, key: store.key, trials: store.trials, passes: snapshot.run.passes || [], best: bestNumber,
        lower: judges.filter((row) => row.lower_is_better).map((row) => row.id),
        judgeName: (key) => (known(key) ? key.replace(known(key).id, known(key).title) : key),
      });
      rater.draw({ ...judging, ratings: snapshot.run.ratings, waiting: snapshot.waiting, imagesOf, totalOf, best: bestNumber });
      comparer.draw({ ...judging, comparing: snapshot.run.ratings.length ? null : snapshot.comparing || null });
      taste.draw(snapshot.run.ratings.length > 0, { folder, canAskLess: active && snapshot.run.can_ask_less, asksLess: Boolean(snapshot.run.asks_less), offline: store.offline });
      optim.setClass(root, 'optim-blind', blind());
      drawLog(snapshot);
      runLog.draw(folder, active);
      if (viewer) viewer.draw();
    };
    let drawnLog = '';
    const drawLog = (snapshot) => {
      const signature = JSON.stringify([snapshot.saved, snapshot.saved_notes, snapshot.errors]);
      if (signature === drawnLog) return;
      drawnLog = signature;
      optim.show(logCard, snapshot.saved.length || snapshot.errors.length);
      saved.replaceChildren(...(snapshot.saved.length ? [el('span', { class: 'optim-title', text: tr('Saved') })] : []), ...snapshot.saved.flatMap((path) => [el('div', { class: 'optim-path', text: path }), ...((snapshot.saved_notes || {})[path] || []).map((text) => el('div', { class: 'optim-help', text }))]));
      errors.replaceChildren(...(snapshot.errors.length ? [el('span', { class: 'optim-title', text: tr('What went wrong') })] : []), ...[...snapshot.errors].reverse().map((text) => el('div', { class: 'optim-error', text })));
    };

    // --- keys ---------------------------------------------------------------------------------------------------
    // Only when the tab is in view, nothing is being typed, and neither our dialog nor the host's lightbox is open.
    document.addEventListener('keydown', (event) => {
      if (!root.isConnected || root.offsetParent === null || event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
      const target = event.target;
      if (target.closest && target.closest('input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable], dialog')) return;
      const lightbox = document.getElementById('lightboxModal');
      if (lightbox && lightbox.style.display !== 'none' && lightbox.offsetParent !== null) return;
      if (event.key === ' ' && target.closest('button, summary, [role=button], input')) return;
      if (rater.key(event) || comparer.key(event)) event.preventDefault();
    });

    let lastState = '';
    let queueSeen = 0;
    const poller = optim.poller({
      root, store,
      seconds: () => settings.values.poll,
      wanted: () => {
        const current = store.snapshot && store.snapshot.current;
        const numbers = [picked, ...rater.trials(), pareto.selected()].filter((n) => n !== null);
        if (current === null && store.trials.size) numbers.push(lastSeen());
        return [...new Set(numbers)];
      },
      onData: () => {
        if (!store.offline) {
          manners.seen(store.snapshot);
          said.seen(store.asked);
          said.open(store.snapshot.run ? store.snapshot.run.folder : '');
        }
        if (store.newRun) {
          store.newRun = false;
          picked = null;
        }
        draw();
        const state = store.snapshot ? store.snapshot.state : '';
        if (state !== lastState || (form.queue.wants() && Date.now() - queueSeen > 2000)) {
          queueSeen = Date.now();
          form.queue.load();
        }
        if (state !== lastState && RESTING.includes(state) && form.ready()) form.loadRuns().catch(() => {});
        lastState = state;
        if (!store.offline && !form.ready() && !loading) load();
      },
    });
    let loading = false;
    const load = async () => {
      loading = true;
      settings.load().catch(() => {}); // without them the defaults hold
      await attempt(async () => {
        await form.load(false);
        await form.loadRuns();
      });
      loading = false;
      draw();
    };
    draw();
    load();
    poller.now();
  };

  const nothingYet = () => ({ state: 'idle', sentence: tr('Asking the program …'), progress: { trials: 0 }, run: null, best: null, current: null, waiting: [], trials: [] });

  // The frame comes late (Gradio draws the page itself) and may come again.
  const look = () => {
    const root = document.getElementById('optim_root');
    if (root && !root.dataset.mounted) {
      root.dataset.mounted = 'yes';
      // Gradio lays its styles for texts over everything inside an HTML component; this is no text.
      root.closest('.prose')?.classList.remove('prose');
      optim.loadWords().then(() => mount(root));
    }
  };
  const watch = () => {
    look();
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
  };
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', watch);
  else watch();
})();
