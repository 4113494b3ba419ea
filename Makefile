# Every target does its own set-up: a virtual environment with pinned, hash-checked packages. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
SOURCES := __main__.py settings.py components handlers observability policies bootstrap local ops road tests bench
export PULUMI_ERROR_OUTPUT_STRING := true
export PYTHONPATH := .

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

$(STAMP): requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=..." >&2; exit 2; }
	@echo "setting up .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

setup: $(STAMP) ## make the virtual environment

demo: $(STAMP) ## run the pipeline here: deploy, send orders, say what became of each (ORDERS=file.jsonl); or an incident (INCIDENT=name)
	@$(BIN)/python -m local.demo $(if $(ORDERS),--orders "$(ORDERS)") $(if $(INCIDENT),--incident "$(INCIDENT)")

up: $(STAMP) ## deploy the pipeline here and keep it running; Ctrl-C stops it
	@$(BIN)/python -m local.demo up

emulator: $(STAMP) ## an empty local AWS, for `pulumi up -s local`; Ctrl-C stops it
	@$(BIN)/python -m local.demo empty

test: $(STAMP) ## every test, save the long proofs
	@$(BIN)/python -m pytest -m "not proof" -n 2 --dist loadfile --no-loadscope-reorder

proof: $(STAMP) ## the long proofs
	@$(BIN)/python -m pytest -m proof -n 2 --dist loadfile --no-loadscope-reorder

check: $(STAMP) ## format, lint, types, import rules and the fast tests; changes nothing
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/mypy $(SOURCES)
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -m "not local and not proof and not mutation" -q -n 2 --hypothesis-profile=check

format: $(STAMP) ## format the sources
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix $(SOURCES)

bench: $(STAMP) ## measure handlers beside plain ones, and alarms beside bare sums; writes build/bench*.json
	@$(BIN)/python -m bench.handlers
	@$(BIN)/python -m bench.alarms

guards-sim: $(STAMP) ## simulate the reputation guard over years, beside plain alarms; writes docs/guards-simulation*
	@$(BIN)/python -m bench.guards

incidents: $(STAMP) ## replay what is on record, and see that every change to an alarm would be noticed
	@$(BIN)/python -m observability replay tests/incidents --stack prod --brief
	@$(BIN)/python -m observability mutate tests/incidents --stack prod

policies: $(STAMP) ## judge the stacks by the rules in docs/policies.md (STACK=prod)
	@$(BIN)/python -m policies check $(if $(STACK),--stack "$(STACK)")

review: $(STAMP) ## what the working tree changes, for a reviewer; writes build/review/ (BASE=main)
	@$(BIN)/python -m observability review --base "$(or $(BASE),main)"

preview: $(STAMP) ## what a deployment would change, and what the policies say of it (STACK=dev; STACK=local needs no account)
	@$(BIN)/python -m road preview --stack "$(STACK)"

deploy: $(STAMP) ## deploy a stack, unless a mandatory policy is broken (STACK=dev; STACK=local goes to what `make emulator` runs)
	@$(BIN)/python -m road deploy --stack "$(STACK)" $(if $(ENDPOINT),--endpoint "$(ENDPOINT)") $(if $(OUTPUTS),--outputs "$(OUTPUTS)")

gate: $(STAMP) ## whether a deployment may stand: a probe comes out as an email, and nothing pages (STACK=dev; TIMEOUT=300)
	@$(BIN)/python -m ops --stack "$(or $(STACK),local)" $(if $(OUTPUTS),--outputs "$(OUTPUTS)") gate --timeout "$(or $(TIMEOUT),300)"

promotion: $(STAMP) ## whether a tag may go to production: it names a release, and is of main (TAG=v1.2.3 MAIN=origin/main)
	@$(BIN)/python -m road promotion $(if $(TAG),--tag "$(TAG)") $(if $(MAIN),--main "$(MAIN)")

comment: $(STAMP) ## the last review as a comment, build/review/comment.md; posted with PR=12
	@$(BIN)/python -m road comment $(if $(PR),--pull "$(PR)")

rehearse: $(STAMP) ## every step of every workflow here, on the emulator (WITHOUT="check test" leaves out what was run)
	@$(BIN)/python -m road rehearse --without "$(WITHOUT)"

lint-workflows: $(STAMP) ## check the workflows: their schema, and what makes a workflow unsafe
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/check-jsonschema --builtin-schema custom.github-workflows-require-timeout .github/workflows/*.yml
	@$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	@$(BIN)/zizmor --offline --pedantic --no-progress --quiet .github

release: $(STAMP) ## write down what a release has that holds data; then commit and tag it (VERSION=0.2.0)
	@$(BIN)/python -m policies.release "$(VERSION)"

deployer-policy: $(STAMP) ## write bootstrap/policies/ anew from what the stacks register, which takes their settings into account
	@$(BIN)/python -m bootstrap.deployer

# The AWS SDK and what only it needs come with the Lambda runtime, so the layer's list leaves them out.
LOCK := $(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-annotate --no-emit-index-url
SDK := botocore jmespath python-dateutil s3transfer six urllib3

lock: $(STAMP) ## pin the packages again, with hashes, from requirements/*.in
	@$(LOCK) --python-version 3.13 --python-platform aarch64-manylinux2014 $(SDK:%=--no-emit-package %) \
	  requirements/lambda.in -o requirements/lambda.txt
	@$(LOCK) --python-version 3.11 requirements/dev.in -o requirements/dev.txt

clean: ## remove what was built, and the virtual environment
	rm -rf build .venv

.PHONY: help setup demo up emulator test proof check format bench guards-sim incidents policies release review preview deploy gate promotion comment rehearse lint-workflows deployer-policy lock clean
