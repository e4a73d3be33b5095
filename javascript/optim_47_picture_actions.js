// What can be done with a picture in the large view: keep its merge, hand it to another tab of the host, find its file.
(() => {
  'use strict';
  const optim = window.optimTab;
  const { el } = optim;
  const TABS = [['txt2img', 'Send to txt2img'], ['img2img', 'Send to img2img'], ['inpaint', 'Send to inpaint'], ['extras', 'Send to extras']];
  const local = () => ['127.0.0.1', 'localhost', '[::1]'].includes(window.location.hostname);

  // Gradio's own elements, which a WebUI adds beside our frame (lib_optim/hosts/webui/send_to.py).
  const host = (id) => document.getElementById(`optim_send_${id}`);
  const typeInto = (id, text) => {
    const field = host(id) && host(id).querySelector('textarea, input');
    if (!field) return false;
    field.value = text;
    field.dispatchEvent(new Event('input', { bubbles: true }));
    return true;
  };

  // source(): {folder, trial, file}; onSave(trial), onFail(error), onSent(): the large view makes room.
  optim.pictureActions = (source, { canSave, onSave, onFail, onSent }) => {
    const send = (tab) => {
      const { folder, file } = source();
      if (!typeInto('source', JSON.stringify({ folder, file, tab }))) return;
      onSent();
      // Gradio takes the text over before it is told to go.
      setTimeout(() => host('go').click(), 50);
    };
    const open = async () => {
      try {
        await optim.post('open_folder', { folder: source().folder });
      } catch (error) {
        onFail(error);
      }
    };
    return el('div', { class: 'optim-row optim-tight optim-picture-actions', id: 'optim_picture_actions' },
      canSave ? optim.button('optim_picture_save', 'Save checkpoint', () => onSave(source().trial), 'small', 'Write the merge of this picture as a checkpoint file') : null,
      ...TABS.filter(([tab]) => host(tab)).map(([tab, text]) => optim.button(`optim_picture_${tab}`, text, () => send(tab), 'small', tab === 'txt2img' ? 'Its prompt and settings' : 'The picture, with its prompt and settings where they fit')),
      local() ? optim.button('optim_picture_folder', 'Open folder', open, 'small', "Show this run's pictures in the file manager") : null);
  };
})();
