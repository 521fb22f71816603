// What the theme leaves out for readers who listen to a page or speak to it: done before its own scripts run.
document.addEventListener("readystatechange", () => {
  if (document.readyState !== "interactive") return;
  // A button's name holds the words that are seen on it, and its icons say nothing of their own.
  for (const icon of document.querySelectorAll("button[aria-label] i[title]")) icon.removeAttribute("title");
  for (const button of document.querySelectorAll("button[aria-label]")) {
    const words = button.textContent.trim().replace(/\s+/g, " ");
    if (words && !button.ariaLabel.includes(words)) button.ariaLabel = `${button.ariaLabel}: ${words}`;
  }
  // The book's title above the contents leads home.
  const title = document.querySelector(".sidebar-primary-items__start .navbar-brand")?.parentElement;
  title?.setAttribute("role", "navigation");
  title?.setAttribute("aria-label", "Home");
});
