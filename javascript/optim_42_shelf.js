// Earlier runs on the shelf: another name, away, out as a zip file, and in again.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;
  const PIECE = 4000000; // bytes of one request

  const ask = (title, help, label, value, act, go) => {
    const error = el('div', { class: 'optim-error', hidden: true });
    const name = el('input', { id: 'optim_shelf_name', type: 'text', class: 'optim-input', maxlength: 80, value });
    const run = optim.button('optim_shelf_go', go, async () => {
      optim.setDisabled(run, true);
      try {
        await act(name.value.trim());
        box.close();
      } catch (problem) {
        error.textContent = problem.message;
        optim.show(error, true);
      }
      optim.setDisabled(run, false);
    }, 'primary');
    const box = optim.dialog(title, el('div', { class: 'optim-stack' }, help ? el('div', { class: 'optim-help', text: help }) : null,
      label ? optim.field(label, name) : null, error, el('div', { class: 'optim-row' }, run)));
    box.id = 'optim_shelf_dialog';
    (label ? name : run).focus();
  };

  // selected(): the run that is chosen; done(folder): the list has changed; say(sentence): good news; fail(error).
  optim.shelf = ({ selected, done, say, fail }) => {
    const rename = () => {
      const folder = selected();
      ask('Rename run', 'The date in front stays.', 'Name', folder.replace(/^\d{4}-\d\d-\d\d-/, ''), async (name) => done((await optim.post('run_rename', { folder, name })).folder), 'Rename');
    };
    const trash = () => {
      const folder = selected();
      ask(`Delete ${folder}?`, 'It goes into the folder .trash beside your runs, with its images. Emptying that folder is up to you.', '', '', async () => {
        const { trash: where } = await optim.post('run_trash', { folder });
        done('');
        say(`${folder} is in ${where}.`);
      }, 'Delete');
    };
    const away = () => {
      // A link of its own, so that the browser saves the answer while it comes in.
      const link = el('a', { href: optim.url(`api/run_export/${encodeURIComponent(selected())}`), download: `${selected()}.zip` });
      document.body.append(link);
      link.click();
      link.remove();
    };
    const report = () => window.open(optim.url(`api/run_report/${encodeURIComponent(selected())}`), '_blank', 'noopener');
    const file = el('input', { type: 'file', id: 'optim_import_file', accept: '.zip,application/zip', hidden: true, on: { change: () => take(file.files[0]) } });
    const take = async (zip) => {
      if (!zip) return;
      const upload = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 12)}`;
      try {
        let at = 0;
        do {
          const piece = zip.slice(at, at + PIECE);
          const { size } = await optim.post('run_import', { upload, offset: at, data: await optim.base64(piece) });
          at = size;
          optim.setText(bring, zip.size > PIECE ? `Import … ${Math.round((100 * at) / zip.size)} %` : 'Import …');
        } while (at < zip.size);
        const { folder } = await optim.post('run_import_end', { upload });
        done(folder);
        say(`${zip.name} is the run ${folder} now.`);
      } catch (problem) {
        fail(problem);
      }
      file.value = '';
      optim.setText(bring, 'Import …');
    };
    const buttons = [
      optim.button('optim_run_rename', 'Rename …', rename, 'small'),
      optim.button('optim_run_report', 'Report', report, 'small', 'Curve, winner and pictures on one page of its own; also report.html in the run’s folder when it has ended'),
      optim.button('optim_run_export', 'Export', away, 'small', 'The run as one zip file: plan, record, table, recipe and images; no checkpoints, no paths but those in the plan'),
      optim.button('optim_run_delete', 'Delete …', trash, 'small', 'Into a folder .trash beside your runs'),
    ];
    const bring = optim.button('optim_run_import', 'Import …', () => file.click(), 'small', 'A zip file that Export made, on this or another machine');
    return {
      node: el('div', { class: 'optim-row optim-tight' }, ...buttons, bring, file),
      draw: (off) => buttons.forEach((button) => optim.setDisabled(button, off)),
    };
  };
})();
