// What is set once: read for everybody, changed here where no WebUI has a page for it; and the leave to notify.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el, tr } = optim;
  const THUMBS = { small: '96px', medium: '150px', large: '240px' };

  // `values` is what holds; `use` is called whenever it may have changed.
  optim.settings = ({ root, use }) => {
    const settings = {
      rows: [],
      own: false,
      values: { poll: 1, notify: true, sound: false, thumbs: 'automatic' },
      load: async () => take(await optim.get('settings')),
      save: async (values) => take(await optim.post('settings', { values })),
    };
    const take = (answer) => {
      Object.assign(settings, answer);
      const size = THUMBS[settings.values.thumbs];
      optim.setClass(root, 'optim-thumbs', size);
      if (size) root.style.setProperty('--optim-thumb', size);
      use(settings);
    };
    // A WebUI says when its own page of settings was applied.
    if (typeof window.onOptionsChanged === 'function') window.onOptionsChanged(() => settings.load().catch(() => {}));
    return settings;
  };

  // Rows of the program's table, which the words know as well (lib_optim/plan/settings.py).
  const own = (text) => tr(text);

  const fieldOf = (row, value) => {
    const id = `optim_setting_${row.key}`;
    if (typeof row.default === 'boolean') {
      const { node, box } = optim.check(id, own(row.label), () => {});
      box.checked = value;
      return { node: el('div', {}, node, row.help ? el('div', { class: 'optim-help', text: own(row.help) }) : null), get: () => box.checked };
    }
    const input = row.choices.length
      ? el('select', { id, class: 'optim-input' }, ...row.choices.map((choice) => el('option', { value: choice, text: own(choice) })))
      : typeof row.default === 'string'
        ? el('input', { id, class: 'optim-input', type: 'text', spellcheck: 'false' })
        : el('input', { id, class: 'optim-input', type: 'number', min: row.least, max: row.most, step: row.step });
    input.value = value;
    const get = () => (typeof row.default === 'number' ? Number(input.value) : input.value);
    return { node: optim.field(own(row.label), input, own(row.help)), get };
  };

  const dialog = (settings, onSaved) => {
    const fields = settings.rows.map((row) => ({ row, ...fieldOf(row, settings.values[row.key]) }));
    const wrong = el('div', { class: 'optim-error', role: 'alert', hidden: true });
    const save = optim.button('optim_settings_save', tr('Save'), async () => {
      optim.setDisabled(save, true);
      try {
        await settings.save(Object.fromEntries(fields.map(({ row, get }) => [row.key, get()])));
        box.close();
        onSaved();
      } catch (error) {
        optim.setText(wrong, error.message);
        optim.show(wrong, true);
      }
      optim.setDisabled(save, false);
    }, 'primary');
    const box = optim.dialog(tr('Settings'), el('div', { class: 'optim-stack' }, ...fields.map((field) => field.node), wrong, el('div', { class: 'optim-line' }, save)));
    box.id = 'optim_settings_dialog';
  };

  // The two buttons below the form, each only where it does something.
  optim.parts.settings = ({ settings, onSaved }) => {
    const open = optim.button('optim_settings', tr('Settings'), () => dialog(settings, onSaved), 'small', tr('Folders, notifications and other things that are set once'));
    const allow = optim.button('optim_notify', tr('Allow notifications'), async () => {
      await Notification.requestPermission();
      draw();
    }, 'small', tr('Let this browser tell you when it is your turn or a run ends, while you look elsewhere'));
    const draw = () => {
      const undecided = 'Notification' in window && window.isSecureContext && Notification.permission === 'default';
      optim.show(open, settings.own);
      optim.show(allow, undecided && settings.values.notify);
    };
    open.hidden = allow.hidden = true;
    return { nodes: [open, allow], draw };
  };
})();
