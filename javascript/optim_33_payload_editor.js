// The payload editor: one payload as a form, new, from another one, from a picture, or from the WebUI's txt2img tab.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;

  // Where A1111, Forge and reForge keep what txt2img would do now: field to the element and what is read of it.
  const TXT2IMG = {
    prompt: '#txt2img_prompt textarea',
    negative_prompt: '#txt2img_neg_prompt textarea',
    width: '#txt2img_width input[type=number]',
    height: '#txt2img_height input[type=number]',
    steps: '#txt2img_steps input[type=number]',
    cfg_scale: '#txt2img_cfg_scale input[type=number]',
    sampler_name: '#txt2img_sampling input',
    scheduler: '#txt2img_scheduler input',
    seed: '#txt2img_seed input',
    batch_size: '#txt2img_batch_size input[type=number]',
    enable_hr: '#txt2img_hr-checkbox input, #txt2img_hr input[type=checkbox], #txt2img_enable_hr input',
    hr_scale: '#txt2img_hr_scale input[type=number]',
    hr_upscaler: '#txt2img_hr_upscaler input',
    hr_second_pass_steps: '#txt2img_hires_steps input[type=number]',
    hr_resize_x: '#txt2img_hr_resize_x input[type=number]',
    hr_resize_y: '#txt2img_hr_resize_y input[type=number]',
    hr_sampler_name: '#hr_sampler input',
    hr_scheduler: '#hr_scheduler input',
    hr_prompt: '#hires_prompt textarea',
    hr_negative_prompt: '#hires_neg_prompt textarea',
    denoising_strength: '#txt2img_denoising_strength input[type=number]',
  };
  const host = () => (typeof window.gradioApp === 'function' ? window.gradioApp() : document);
  optim.hasTxt2img = () => Boolean(host().querySelector(TXT2IMG.prompt));

  const fromTxt2img = (fields) => {
    const found = {};
    for (const field of fields) {
      const node = TXT2IMG[field.name] && host().querySelector(TXT2IMG[field.name]);
      if (!node) continue;
      const value = node.type === 'checkbox' ? node.checked : ['whole', 'number'].includes(field.kind) ? Number(node.value) : node.value;
      if (field.kind === 'scheduler' && value === 'Automatic') continue;
      if (field.choices.length && !field.choices.includes(value)) continue;
      found[field.name] = value;
    }
    if (!found.enable_hr) for (const name of Object.keys(found)) if (name.startsWith('hr_') || name === 'denoising_strength') delete found[name];
    return found;
  };

  // A field: its node, what it holds as JSON, and how to put a value into it.
  const control = (field, value) => {
    const id = `optim_payload_${field.name}`;
    const common = { id, class: 'optim-input', spellcheck: 'false' };
    const [low, high] = field.limits;
    if (field.kind === 'bool') {
      const check = optim.check(id, field.title, () => {});
      check.box.checked = Boolean(value);
      return { node: check.node, get: () => check.box.checked };
    }
    const special = optim.payloadControls[field.kind];
    if (special) return special(field, value, common);
    if (['sampler', 'scheduler', 'upscaler', 'choice'].includes(field.kind)) {
      const names = value && !field.choices.includes(value) ? [value, ...field.choices] : field.choices;
      const none = field.kind === 'choice' ? null : el('option', { value: '', text: 'the program’s default' });
      const select = el('select', common, none, ...names.map((name) => el('option', { value: name, text: name })));
      select.value = value || '';
      return { node: optim.field(field.title, select, field.help), get: () => select.value };
    }
    if (field.kind === 'long') {
      const area = el('textarea', { ...common, rows: field.name === 'prompt' ? 4 : 2, value: value || '' });
      return { node: optim.field(field.title, area, field.help), get: () => area.value };
    }
    const numeric = field.kind === 'whole' || field.kind === 'number';
    const shown = field.kind === 'json' ? (Object.keys(value || {}).length ? JSON.stringify(value) : '') : value === null || value === undefined ? '' : value;
    const input = el('input', { ...common, type: numeric ? 'number' : 'text', min: numeric ? low : null, max: numeric ? high : null, step: field.kind === 'whole' ? 1 : numeric ? 'any' : null, value: shown });
    const read = {
      text: () => input.value.trim(),
      whole: () => number(field, input.value),
      number: () => number(field, input.value),
      json: () => {
        if (!input.value.trim()) return {};
        try {
          return JSON.parse(input.value);
        } catch {
          throw new Error(`${field.title}: this is no JSON.`);
        }
      },
    };
    return { node: optim.field(field.title, input, field.help), get: read[field.kind] };
  };
  const number = (field, text) => {
    if (!text.trim()) {
      if (field.default === null) return null;
      throw new Error(`${field.title} is empty.`);
    }
    const value = Number(text);
    if (!Number.isFinite(value) || (field.kind === 'whole' && !Number.isInteger(value))) throw new Error(`${field.title} must be a ${field.kind === 'whole' ? 'whole ' : ''}number.`);
    return value;
  };

  // start: the payload to begin with (JSON as the setup has it); own: whether it may be deleted; done(name, old): written.
  optim.editPayload = (plan, { heading, start, insteadOf, own, left, done }) => {
    const fields = plan.setup.payload_fields;
    const controls = new Map(fields.map((field) => {
      const value = start[field.name] === undefined ? field.default : start[field.name];
      // Images are counted, however they were batched.
      return [field.name, control(field, field.name === 'batch_size' ? (start.batch_size || 1) * (start.n_iter || 1) : value)];
    }));
    const error = el('div', { class: 'optim-error', id: 'optim_payload_error', hidden: true });
    const fail = (problem) => {
      error.textContent = problem.problems && problem.problems.length ? problem.problems.map((row) => row.sentence).join(' ') : problem.message;
      optim.show(error, true);
      error.scrollIntoView({ block: 'nearest' });
    };
    const keep = async (other) => {
      const old = other ? '' : insteadOf || '';
      try {
        const payload = {};
        for (const field of fields) payload[field.name] = controls.get(field.name).get();
        if (other) payload.name = freeName(plan, payload.name);
        await optim.post('payload', { payload, instead_of: old });
        box.close();
        done(payload.name, old);
      } catch (problem) {
        fail(problem);
      }
    };
    const remove = async () => {
      try {
        await optim.post('payload_delete', { name: insteadOf });
        box.close();
        done('', insteadOf);
      } catch (problem) {
        fail(problem);
      }
    };
    const nodesOf = (names) => names.filter((name) => controls.has(name)).map((name) => controls.get(name).node);
    const short = ['width', 'height', 'steps', 'cfg_scale', 'sampler_name', 'scheduler', 'batch_size', 'seed', 'score_weight', 'clip_skip'];
    const groups = [...new Set(fields.map((field) => field.group).filter(Boolean))];
    const touched = (field) => JSON.stringify(start[field.name] === undefined ? field.default : start[field.name]) !== JSON.stringify(field.default);
    const folds = groups.map((group) => {
      const rows = fields.filter((field) => field.group === group);
      return el('details', { class: 'optim-more', open: rows.some(touched) }, el('summary', { class: 'optim-note', text: group }),
        el('div', { class: 'optim-payload-grid' }, ...rows.map((field) => controls.get(field.name).node)));
    });
    const notTaken = left && left.length ? el('div', { class: 'optim-warning', id: 'optim_payload_left', text: `Not taken over, because this program or a payload has no place for it: ${left.join(', ')}.` }) : null;
    const buttons = el('div', { class: 'optim-row' }, optim.button('optim_payload_save', 'Save payload', () => keep(false), 'primary'),
      insteadOf ? optim.button('optim_payload_copy', 'Save as another one', () => keep(true), '', 'The one you opened stays as it was') : null,
      own ? optim.button('optim_payload_delete', 'Delete', remove, 'small', 'The file is kept beside the others, with .deleted after its name, if this was its only payload') : null);
    const box = optim.dialog(heading, el('div', { class: 'optim-stack' }, notTaken,
      ...nodesOf(['name', 'prompt', 'negative_prompt']), el('div', { class: 'optim-payload-grid' }, ...nodesOf(short)), ...folds, error, buttons));
    box.classList.add('optim-wide');
    box.id = 'optim_payload_dialog';
  };

  const freeName = (plan, wanted) => {
    const taken = new Set(plan.setup.payloads.map((row) => row.name));
    let name = wanted;
    for (let i = 2; taken.has(name); i += 1) name = `${wanted} ${i}`;
    return name;
  };

  // The buttons below the list of payloads.
  optim.newPayloads = (plan, done, fail) => {
    const file = el('input', { type: 'file', id: 'optim_payload_file', accept: 'image/png,image/jpeg,image/webp', hidden: true, on: { change: () => fromPicture(file.files[0]) } });
    const fromPicture = async (picture) => {
      if (!picture) return;
      try {
        const wanted = picture.name.replace(/\.[^.]*$/, '').slice(0, 60) || 'picture';
        const answer = await optim.post('payload_read', { name: freeName(plan, wanted), data: await optim.base64(picture) });
        optim.editPayload(plan, { heading: 'New payload', start: answer.payload, left: answer.left, done });
      } catch (problem) {
        fail(problem);
      } finally {
        file.value = '';
      }
    };
    const blank = () => optim.editPayload(plan, { heading: 'New payload', start: { name: freeName(plan, 'my payload') }, done });
    const copied = () => optim.editPayload(plan, { heading: 'New payload', start: { name: freeName(plan, 'txt2img'), ...fromTxt2img(plan.setup.payload_fields) }, done });
    return el('div', { class: 'optim-row optim-tight' },
      optim.button('optim_payload_new', 'New', blank, 'small', 'Write a payload of your own'),
      optim.button('optim_payload_picture', 'From a picture …', () => file.click(), 'small', 'Prompt and settings from a picture that a WebUI made'),
      optim.hasTxt2img() ? optim.button('optim_payload_txt2img', 'From txt2img', copied, 'small', 'What the txt2img tab holds now') : null, file);
  };

  optim.payloadButton = (plan, row, done) => optim.button(null, 'Edit', () => optim.editPayload(plan, {
    heading: row.own ? 'Edit payload' : 'Edit payload (saved as your own)', start: row.payload, insteadOf: row.own ? row.name : '', own: row.own, left: row.unable, done,
  }), 'small', `Change ${row.name}, or make another one of it`);
})();
