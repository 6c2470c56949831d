"""The explorer's page in a browser, by what a user sees and does."""

from __future__ import annotations

import time

#: Seconds until something must be seen, on a busy machine.
PATIENCE = 90.0


class Page:
    """The explorer in the browser, by what a user sees."""

    def __init__(self, driver, url):
        self.driver = driver
        driver.get(url)
        self.until(lambda: self.text("#summary_table_0"))

    def until(self, look):
        """Wait for something that is true, and return it."""
        end = time.monotonic() + PATIENCE
        while True:
            found = look()
            if found:
                return found
            assert time.monotonic() < end, self.text("body")[:2000]
            time.sleep(0.1)

    def script(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def one(self, selector):
        return self.driver.find_element("css selector", selector)

    def text(self, selector):
        return self.script(
            "const e = document.querySelector(arguments[0]); return e ? e.innerText : '';", selector
        )

    def rows(self, selector):
        """The cells of a table, a list for each row of its body."""
        return self.script(
            "return [...document.querySelectorAll(arguments[0] + ' tbody tr')]"
            ".map(r => [...r.cells].map(c => c.textContent));",
            selector,
        )

    def image(self, selector):
        """The address of a figure, nothing where there is none."""
        return self.script(
            "const i = document.querySelector(arguments[0] + ' img'); return i ? i.src : '';",
            selector,
        )

    def open(self, tab):
        self.one(f'a[data-value="{tab}"]').click()
        self.until(lambda: self.text(f"#{tab}_code"))

    def choose(self, name, word):
        self.one(f'#{name} option[value="{word}"]').click()

    def type(self, name, text):
        """Replace what is in a box."""
        from selenium.webdriver.common.keys import Keys

        box = self.one(f"#{name}")
        box.send_keys(Keys.CONTROL, "a")
        box.send_keys(Keys.DELETE, text)

    def pick(self, name, *labels):
        """Search labels in a box of many and take the first that is offered for each."""
        from selenium.webdriver.common.keys import Keys

        at = f"#{name} ~ .selectize-control input"
        for label in labels:
            self.until(lambda: self.driver.find_elements("css selector", at))
            self.one(at).send_keys(label)
            self.until(lambda label=label: self.offered(label))
            self.one(at).send_keys(Keys.ENTER)
        self.one(at).send_keys(Keys.ESCAPE)

    def offered(self, label):
        """Whether the first label that an open box offers is this one."""
        return self.script(
            "const shown = [...document.querySelectorAll('.selectize-dropdown')]"
            ".filter(d => d.offsetHeight > 0);"
            "const open = shown.flatMap(d => [...d.querySelectorAll('[data-value]')]);"
            "return open.length > 0 && open[0].textContent.trim() === arguments[0];",
            label,
        )

    def file(self, link):
        """What a download link gives, as text."""
        self.until(lambda: self.one(f"#{link}").get_attribute("href").count("/session/"))
        return self.driver.execute_async_script(
            "const [at, done] = arguments; fetch(document.querySelector(at).href)"
            ".then(a => a.text()).then(done);",
            f"#{link}",
        )
