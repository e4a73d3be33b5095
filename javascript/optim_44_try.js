// "Try it": dial a merge by hand, see one image of it beside its parents, and take it from there.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;
  const LOOK = 500; // milliseconds between looks while an image is made

  const url = (file, version) => `${optim.url(`try_image/${encodeURIComponent(file)}`)}?v=${version}`;
  const same = (a, b) => JSON.stringify(Object.entries(a).sort()) === JSON.stringify(Object.entries(b).sort());

  // form: what the panel needs of the form ({value, addStart, pasteWeights}); onSay(sentences); onFail(error).
  optim.tryCard = ({ form, onSay, onFail }) => {
    let space = null;
    let tries = [];
    let shown = null; // number of the try whose image is shown
    let asked = ''; // the click whose image is awaited
    let state = { making: false, sentence: '', error: '' };
    let active = false;
    let stale = true;
    let round = 0;
    let pending = null;
    let timer = 0;
    let looking = 0;

    const guard = (act) => async () => {
      try {
        await act();
      } catch (error) {
        onFail(error);
      }
    };

    // --- parts
    const sliders = optim.sliders({ onMove: () => draw(), onRelease: () => (auto.box.checked && make.disabled === false ? begin() : null) });
    const payload = el('select', { id: 'optim_try_payload', class: 'optim-input', on: { change: () => drawSeed() } });
    const seed = el('input', { id: 'optim_try_seed', type: 'number', class: 'optim-input', min: 0, step: 1, placeholder: 'its own' });
    const preset = el('select', { id: 'optim_try_preset', class: 'optim-input', on: { change: () => (preset.value ? refresh({ preset: preset.value }) : null) } });
    const paste = optim.button('optim_try_paste', 'Paste weights …', () => form.pasteWeights(), 'small', 'Block weights from elsewhere, a checkpoint or an image, on the sliders');
    const make = optim.button('optim_try_make', 'Make image', () => begin(), 'primary', 'Merge in memory, make one image, put your model back');
    const stop = optim.button('optim_try_stop', 'Stop', guard(async () => take(await optim.post('try_stop'))), 'stop', 'End the image being made; your model is put back');
    const auto = optim.check('optim_try_auto', 'At once', (on) => optim.remember('try_auto', on), 'Make an image whenever a slider is let go');
    const parents = optim.check('optim_try_parents', 'Parents too', (on) => optim.remember('try_parents', on), 'The same image of each model alone; made once, and kept');
    auto.box.checked = optim.recall('try_auto', false);
    parents.box.checked = optim.recall('try_parents', true);
    const said = el('div', { class: 'optim-note optim-try-said', id: 'optim_try_said', role: 'status' });
    const problems = el('div', { class: 'optim-stack', id: 'optim_try_problems', hidden: true });
    const fill = el('div', { class: 'optim-progress-fill' });
    const pictures = el('div', { class: 'optim-try-pictures', id: 'optim_try_pictures' });
    const facts = el('div', { class: 'optim-note optim-try-facts', id: 'optim_try_facts' });
    const start = optim.button('optim_try_start', 'Start the search from here', () => {
      const at = current();
      const name = at && same(at.values, sliders.values()) ? `try ${at.number}` : 'tried by hand';
      onSay([`${form.addStart(name, sliders.values())} is the first trial of the next search; the search goes on from there.`]);
    }, 'small', 'The values of the sliders become a start of the plan');
    const save = optim.button('optim_try_save', 'Save as checkpoint', guard(async () => {
      optim.setDisabled(save, true);
      optim.setText(save, 'Saving …');
      try {
        const answer = await optim.post('try_save', { try: shown, save: { ...form.value().save, checkpoint: true } });
        onSay([`Try ${shown} is saved as ${answer.path}.`, ...answer.notes]);
      } finally {
        optim.setText(save, 'Save as checkpoint');
        draw();
      }
    }), 'small', 'Write the merge of the image that is shown as a checkpoint file');
    const copyRow = optim.copyRow('optim_try', () => null, onFail, () => optim.post('try_weights', { form: form.value(), values: sliders.values() }));
    const strip = el('div', { class: 'optim-try-strip', id: 'optim_try_strip', role: 'group', 'aria-label': 'The last tries' });
    const section = optim.section(
      { id: 'optim_try_card', title: 'Try it', open: false },
      el('div', { class: 'optim-help', text: 'Dial a merge by hand and see one image of it, made in memory; your own model is put back after each.' }),
      el('div', { class: 'optim-try-head' }, optim.field('Payload', payload), optim.field('Seed', seed), optim.field('Preset', preset), paste),
      problems,
      el('div', { class: 'optim-row optim-tight' }, make, stop, auto.node, parents.node, said),
      el('div', { class: 'optim-progress', id: 'optim_try_progress', 'aria-hidden': 'true' }, fill),
      pictures, facts, strip,
      el('div', { class: 'optim-row optim-tight' }, start, save, copyRow),
      sliders.node);
    section.summary('sliders, one image, beside the parents');
    const isOpen = () => section.node.open;
    section.node.addEventListener('toggle', () => (isOpen() ? wake() : null));

    // --- what the form comes to
    const refresh = async (wanted) => {
      const mine = (round += 1);
      const point = wanted || pending; // a point under way must not lose to a change of the form meanwhile
      pending = point;
      stale = false;
      try {
        const found = await optim.post('try_space', { form: form.value(), point: point || { values: sliders.values() }, now: sliders.values() });
        if (mine !== round) return;
        pending = null;
        const kept = found.parameters.length || !space ? found : { ...space, problems: found.problems, notes: [] };
        space = kept;
        if (found.parameters.length) sliders.draw(found.parameters, found.values);
        drawChoices();
        if (point && !point.preset) preset.value = '';
        draw();
        if (point && !found.problems.length && auto.box.checked && !make.disabled) begin();
      } catch (error) {
        if (mine !== round) return;
        pending = null;
        onFail(error);
      }
    };
    const drawChoices = () => {
      const wanted = payload.value;
      payload.replaceChildren(...space.payloads.map((row) => el('option', { value: row.name, text: row.name })));
      if (space.payloads.some((row) => row.name === wanted)) payload.value = wanted;
      const held = preset.value;
      preset.replaceChildren(el('option', { value: '', text: space.presets.length ? 'Choose …' : 'none fit' }), ...space.presets.map((name) => el('option', { value: name, text: name })));
      preset.value = space.presets.includes(held) ? held : '';
      optim.setDisabled(preset, !space.presets.length);
      drawSeed();
    };
    const drawSeed = () => {
      const row = space.payloads.find((one) => one.name === payload.value);
      seed.placeholder = row ? `its own: ${row.seed}` : 'its own';
    };

    // --- making
    const begin = guard(async () => {
      asked = optim.requestId();
      const text = seed.value.trim();
      take(await optim.post('try', { form: form.value(), values: sliders.values(), payload: payload.value, seed: text === '' ? null : Number(text), parents: parents.box.checked, request: asked }));
    });
    const take = (answer) => {
      state = answer;
      if (answer.tries) {
        tries = answer.tries;
        const mine = tries.find((one) => one.request === asked);
        if (asked && mine) {
          shown = mine.number;
          if (!answer.making) asked = '';
        }
        if (shown === null && tries.length) shown = tries[0].number;
      }
      draw();
      clearTimeout(timer);
      if (answer.making || !answer.tries) timer = setTimeout(look, answer.tries ? LOOK : 0);
    };
    const look = async () => {
      const mine = (looking += 1);
      try {
        const answer = await optim.get('try');
        if (mine === looking) take(answer);
      } catch (error) {
        state = { ...state, making: false, error: error.message };
        draw();
      }
    };
    const wake = () => {
      look();
      if (stale && form.ready()) refresh(space ? null : {});
    };

    // --- drawing
    const current = () => tries.find((one) => one.number === shown) || null;
    const views = () => {
      const at = current();
      const models = space ? space.models : [];
      const row = (letter) => (at ? at.parents.find((one) => one.model === letter) : null);
      const parent = ({ model, title }) => {
        const found = row(model);
        return { key: model, title: `${model} alone`, name: found ? found.title : title, src: found && found.file ? url(found.file, '1') : '', problem: found ? found.problem : '' };
      };
      const tried = { key: 'try', title: at ? `Try ${at.number}` : 'Try', name: '', src: at ? url(at.file, at.created) : '', problem: '' };
      const [first, ...others] = models.map(parent);
      return first ? [first, tried, ...others] : [tried];
    };
    let drawnPictures = '';
    const drawPictures = () => {
      const all = views().filter((view) => view.key === 'try' || parents.box.checked || view.src);
      const signature = JSON.stringify(all);
      if (signature === drawnPictures) return;
      drawnPictures = signature;
      pictures.style.setProperty('--optim-count', String(all.length));
      pictures.replaceChildren(...all.map((view) => el('figure', { class: `optim-try-picture optim-try-${view.key === 'try' ? 'own' : 'parent'}`, 'data-view': view.key },
        view.src ? el('button', { type: 'button', class: 'optim-try-open', 'aria-label': `${view.title}: large`, on: { click: () => large(view.key) } }, el('img', { src: view.src, alt: view.title }))
          : el('div', { class: 'optim-try-none' }, el('span', { class: 'optim-note', text: view.problem || (view.key === 'try' ? 'Make an image' : 'comes with the next image') })),
        el('figcaption', { class: 'optim-note', text: view.name ? `${view.title}: ${view.name}` : view.title, title: view.name }))));
    };
    // One place for all of them, so that the eye sees what changes.
    const large = (key) => {
      let at = key;
      const seen = () => views().filter((view) => view.src);
      const image = el('img', { class: 'optim-viewer-image', alt: '' });
      const tabs = el('div', { class: 'optim-row optim-tight' });
      const show = () => {
        const view = seen().find((one) => one.key === at);
        image.src = view.src;
        image.alt = view.title;
        tabs.replaceChildren(...seen().map((one) => {
          const button = optim.button(null, one.title, () => { at = one.key; show(); }, 'small');
          button.setAttribute('aria-pressed', String(one.key === at));
          return button;
        }));
      };
      const box = optim.dialog('Try and parents', el('div', { class: 'optim-viewer-stage' }, image), tabs, el('div', { class: 'optim-help', text: 'Arrow keys switch between them.' }));
      box.classList.add('optim-viewer');
      box.id = 'optim_try_viewer';
      box.addEventListener('keydown', (event) => {
        const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!by) return;
        event.preventDefault();
        const keys = seen().map((one) => one.key);
        at = keys[(keys.indexOf(at) + by + keys.length) % keys.length];
        show();
      });
      show();
    };
    let drawnStrip = '';
    const drawStrip = () => {
      const signature = JSON.stringify([shown, tries.map((one) => [one.number, one.created])]);
      if (signature === drawnStrip) return;
      drawnStrip = signature;
      strip.replaceChildren(...tries.map((one) => el('button', {
        type: 'button', class: 'optim-try-thumb', 'aria-pressed': String(one.number === shown), 'data-try': one.number, title: `Try ${one.number}: ${one.payload}, seed ${one.seed}\n${Object.entries(one.values).map(([name, value]) => `${name} ${typeof value === 'number' ? optim.number(value) : value}`).join(', ')}`,
        on: { click: () => goBack(one) },
      }, el('img', { src: url(one.file, one.created), alt: `Try ${one.number}`, loading: 'lazy' }), el('span', { text: String(one.number) }))));
    };
    const goBack = (one) => {
      shown = one.number;
      asked = '';
      if ([...payload.options].some((option) => option.value === one.payload)) payload.value = one.payload;
      const own = space && space.payloads.find((row) => row.name === one.payload);
      seed.value = own && own.seed === one.seed ? '' : one.seed;
      const held = auto.box.checked;
      auto.box.checked = false; // the image is there already
      draw();
      refresh({ values: one.values }).finally(() => {
        auto.box.checked = held;
      });
    };
    const factsOf = (at) => {
      const seconds = ['load', 'merge', 'generate', 'restore'].filter((step) => at.seconds[step] >= 0.05 || step === 'merge' || step === 'generate');
      const words = { load: 'models ready', merge: 'merge', generate: 'image', restore: 'put back' };
      return [`${at.payload}, seed ${at.seed}`, ...seconds.map((step) => `${words[step]} ${optim.seconds(at.seconds[step] || 0)}`), `recipe ${at.recipe}`].join(' · ');
    };
    const draw = () => {
      if (!isOpen()) return;
      const at = current();
      const usable = Boolean(space && space.parameters.length);
      optim.setDisabled(make, active || !usable);
      optim.show(stop, state.making);
      optim.setDisabled(start, !usable);
      optim.setDisabled(save, !at || save.textContent !== 'Save as checkpoint');
      optim.show(copyRow, usable);
      optim.setText(said, active ? 'A run is going on; merges can be tried before or after it.' : state.making ? state.sentence : state.error || state.sentence);
      optim.setClass(said, 'optim-warning', !active && !state.making && state.error);
      said.title = said.textContent;
      fill.style.width = state.making ? `${state.steps ? Math.max(4, (100 * state.step) / state.steps) : 4}%` : '0';
      const moved = at && usable && !same(at.values, sliders.values());
      const other = at && space && space.models.length && at.models.join() !== space.models.map((row) => row.title).join();
      optim.setText(facts, at ? [factsOf(at), other ? `of other models (${at.models.join(', ')})` : moved ? 'the sliders have moved since' : ''].filter(Boolean).join(' · ') : 'The image appears here, with the time that it took.');
      facts.title = facts.textContent;
      problems.replaceChildren(...(space ? [...space.problems.map((text) => el('div', { class: 'optim-help optim-warning', text })), ...space.notes.map((text) => el('div', { class: 'optim-help', text }))] : []));
      optim.show(problems, problems.childElementCount);
      drawPictures();
      drawStrip();
    };

    let later = 0;
    return {
      node: section.node,
      // The form is another: the sliders follow, as far as they are the same.
      formChanged: () => {
        stale = true;
        clearTimeout(later);
        later = setTimeout(() => (isOpen() && form.ready() ? refresh(space ? null : {}) : null), 400);
      },
      // Puts a point on the sliders: {folder, trial}, {weights}, {preset} or {values}.
      load: (point) => {
        section.open();
        refresh(point);
        section.node.scrollIntoView({ block: 'nearest' });
      },
      draw: (running) => {
        if (running === active) return;
        active = running;
        draw();
      },
    };
  };
})();
