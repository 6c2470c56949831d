// Copies the code beside the button that is pressed.
document.addEventListener("click", async (event) => {
  const button = event.target.closest(".mx-copy");
  if (!button) return;
  const text = button.parentElement.querySelector("code").textContent;
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    done = document.execCommand("copy");
    area.remove();
  }
  const label = button.dataset.label || button.textContent;
  button.dataset.label = label;
  button.textContent = done ? "Copied" : "Select and copy";
  setTimeout(() => { button.textContent = label; }, 1500);
});
