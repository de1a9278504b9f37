// The numbers of a question as they change: the page is there without it, and does not move.

const form = document.querySelector("[data-live]");
let revision = Number(form.dataset.revision);

const events = new EventSource(form.dataset.live);

events.onmessage = ({ data }) => {
  const news = JSON.parse(data);
  // Messages may overtake each other, and those that the channel has kept may be older than the page.
  if (news.revision <= revision) return;
  revision = news.revision;
  const total = Object.values(news.votes).reduce((sum, votes) => sum + votes, 0);
  for (const number of form.querySelectorAll("[data-choice]")) {
    const votes = news.votes[number.dataset.choice] ?? 0;
    number.textContent = votes.toLocaleString(document.documentElement.lang);
    const bar = number.parentElement.querySelector("progress");
    bar.max = Math.max(total, 1);
    bar.value = votes;
  }
  form.querySelector("[data-total]").textContent = total.toLocaleString(document.documentElement.lang);
};
