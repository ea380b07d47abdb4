# From a fresh clone: `make run` serves the site, `make test` tests it. `make help` lists the rest.

PORT ?= 8000
BIN := .venv/bin
TEMPLATES = $(shell find templates -name '*.html')
LANGUAGES = de fr es pt_BR ar
MESSAGES = $(LANGUAGES:%=--locale %) --extension html,txt,py --add-location file --no-obsolete \
	--no-wrap $(foreach name,.venv staticfiles docs bench chaos tests,--ignore $(name))
PYTEST = $(BIN)/pytest --numprocesses $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1) --dist worksteal
LOCK = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.12
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Containers often set it, and then every process compiles all of Django anew, for 1.4 s.
unexport PYTHONDONTWRITEBYTECODE

# $(call install,lock): uv takes 4 s where pip takes 20. Where there is no uv, or a package index
# that only pip was told of, pip does it.
install = $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --requirement $(1) \
	|| $(BIN)/pip install --quiet --require-hashes --requirement $(1)

# $(call need,test,packages,sentence): install what is missing where we may, else say what to do.
need = { $(1); } >/dev/null 2>&1 || { [ "$$(id -u)" = 0 ] && apt-get update -qq \
	&& DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(2) \
	&& { $(1); } >/dev/null; } || { echo "$(3)" >&2; exit 1; }

.DELETE_ON_ERROR:
.PHONY: help run test test-postgres bench chaos lint format messages lock clean browser postgres \
	faults gettext always

help:
	@echo "make run            serve http://127.0.0.1:$(PORT)/ (PORT=8001 changes it)"
	@echo "make test           run all tests, in a real browser too"
	@echo "make test-postgres  run all tests on a throw-away PostgreSQL"
	@echo "make bench          measure pages, voters and votes on a throw-away PostgreSQL"
	@echo "make chaos          break what the site stands on, and see that no vote is lost"
	@echo "make lint, format   find, or mend, faults of style"
	@echo "make messages       collect the texts to translate in locale/, and compile what is there"
	@echo "make lock           pin the newest packages that requirements*.in allow"
	@echo "make clean          delete what these commands made, db.sqlite3 excepted"

# DEBUG, unless the environment or .env says otherwise.
ifeq ($(shell grep -sE '^(export )?DEBUG=' .env),)
run db.sqlite3: export DEBUG ?= True
endif
# A database named by DATABASE_URL is migrated, but gets no demo: it may hold somebody's own polls.
run: .venv/installed $(if $(DATABASE_URL),,db.sqlite3)
	$(BIN)/python manage.py migrate --noinput
	$(BIN)/python manage.py runserver $(PORT)

# Other commands of Django's leave a file without tables behind, of one page: that is made anew.
db.sqlite3: $(if $(shell find db.sqlite3 -size +4k 2>/dev/null),,always) | .venv/installed
	DATABASE_URL= $(BIN)/python manage.py migrate --noinput --verbosity 0
	DATABASE_URL= $(BIN)/python manage.py loaddata demo

test: .venv/installed-dev browser gettext
	$(PYTEST)

test-postgres: .venv/installed-dev browser gettext postgres
	pg_virtualenv -o fsync=off sh -c \
		'DATABASE_URL=postgres://$$PGUSER:$$PGPASSWORD@$$PGHOST:$$PGPORT/$$PGDATABASE $(PYTEST)'

# Some ten minutes. BALLOTS=10000000 fills the largest poll further, and takes longer.
bench: .venv/installed-dev postgres browser
	for part in pages voters processes votes lists weight; do pg_virtualenv -o fsync=off sh -c \
		"DATABASE_URL=postgres://\$$PGUSER:\$$PGPASSWORD@\$$PGHOST:\$$PGPORT/\$$PGDATABASE \
		$(BIN)/python -W ignore -m bench.$$part" || exit 1; done

# Some five minutes. One part alone: .venv/bin/pytest chaos/test_redis.py
chaos: .venv/installed-dev postgres faults
	$(BIN)/pytest --durations 5 chaos

faults:
	@$(call need,command -v redis-server && PATH=$$PATH:/usr/sbin command -v \
		pgbouncer,redis-server pgbouncer,Install Redis and PgBouncer (Debian: redis-server and \
		pgbouncer): make chaos breaks them.)

postgres:
	@$(call need,command -v pg_virtualenv && ls /usr/lib/postgresql/*/bin/initdb,postgresql \
		postgresql-common,Install PostgreSQL and its pg_virtualenv (Debian: postgresql and \
		postgresql-common) or give a server of your own: DATABASE_URL=postgres://… make test)

browser:
	@$(call need,command -v chromium-headless-shell || command -v chromium || command -v \
		chromium-browser || command -v google-chrome,chromium-headless-shell fonts-liberation \
		,Install Chromium or Chrome: the browser tests need it.)

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/djade --check $(TEMPLATES)

format: .venv/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/djade $(TEMPLATES)

messages: .venv/installed gettext
	DEBUG=True $(BIN)/python manage.py makemessages $(MESSAGES)
	DEBUG=True $(BIN)/python manage.py compilemessages --ignore .venv --verbosity 0

gettext:
	@$(call need,command -v msgfmt && command -v xgettext,gettext,Install GNU gettext (Debian: \
		gettext): it collects and compiles the texts in locale/.)

lock: .venv/made
	$(LOCK) --upgrade requirements.in --output-file requirements.txt
	$(LOCK) --upgrade requirements-dev.in --output-file requirements-dev.txt

clean:
	rm -rf .venv staticfiles test-results .pytest_cache .ruff_cache .coverage db.sqlite3.test*

# Stamps: touched after success only, and older than a changed lock.
.venv/made:
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12; do \
		$$python -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null \
		&& exec $$python -m venv --clear .venv; \
	done; \
	echo "Pollstr needs Python 3.12 or newer, and none was found. Install one, or name" \
		"it: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1
	@sed -n '/^uv==/,/# via/p' requirements-dev.txt >.venv/uv.txt
	@$(BIN)/pip install --quiet --require-hashes --requirement .venv/uv.txt || true
	@touch $@

.venv/installed: requirements.txt .venv/made
	$(call install,requirements.txt)
	@touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	$(call install,requirements-dev.txt)
	@touch $@
