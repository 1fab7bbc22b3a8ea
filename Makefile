# Everything stays inside this folder: packages in .venv, results in runs.
.PHONY: help demo test check lab readme site
VENV := .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
# The first Python on this machine that will do. Another one: make PYTHON=/path/to/python3 demo
PYTHON ?= $(or $(shell for p in python3 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done),python3)

# Settings, caches and run-time files of the packages: here, not in the home folder.
HOUSE := $(CURDIR)/.venv/home
export MPLCONFIGDIR := $(HOUSE)/matplotlib
export IPYTHONDIR := $(HOUSE)/ipython
export JUPYTER_CONFIG_DIR := $(HOUSE)/jupyter/config
export JUPYTER_DATA_DIR := $(HOUSE)/jupyter/data
export JUPYTER_RUNTIME_DIR := $(HOUSE)/jupyter/run
export JUPYTERLAB_SETTINGS_DIR := $(HOUSE)/jupyter/settings
export JUPYTERLAB_WORKSPACES_DIR := $(HOUSE)/jupyter/workspaces
export FASTAI_HOME := $(HOUSE)/fastai
export TORCH_HOME := $(HOUSE)/torch
export HF_HOME := $(HOUSE)/huggingface
export TRITON_CACHE_DIR := $(HOUSE)/triton
export CUDA_CACHE_PATH := $(HOUSE)/cuda
export HYPOTHESIS_STORAGE_DIRECTORY := $(HOUSE)/hypothesis
export NPM_CONFIG_CACHE := $(HOUSE)/npm
# Decoded images; for lab and on Windows, too, where the line with HOME below does not lead them here
export SWSSL_NB_CACHE ?= $(HOUSE)/images
# Threads that wait shall not spin: that costs a factor of three where others use the machine.
export OMP_WAIT_POLICY ?= passive
# Whatever else writes to a home folder finds this one. Not for lab, whose browser needs the real one, nor for pip.
RUN = mkdir -p "$(HOUSE)" && env -u XDG_CACHE_HOME -u XDG_CONFIG_HOME -u XDG_DATA_HOME -u XDG_STATE_HOME HOME="$(HOUSE)"

help:
	@echo 'make demo    train both methods on the phantom and write runs/demo/report.html'
	@echo 'make test    every test; the last line is "N passed, N failed"'
	@echo 'make check   the checks of the house alone, in seconds'
	@echo 'make lab     JupyterLab on the first tutorial'
	@echo 'make readme  README.md from nbs/index.ipynb'
	@echo 'make site    the notebooks as a site, in site/index.html; every link in it is followed,'
	@echo '             and some pages are opened in Chromium, where there is one'

# It names the folder it was made for, so that a moved one is made anew.
INSTALLED := .venv/installed
ifneq ($(shell cat $(INSTALLED) 2>/dev/null),$(CURDIR))
.PHONY: $(INSTALLED)
endif
$(INSTALLED): settings.ini setup.py .ci/install.py
	@$(PYTHON) .ci/install.py

demo: $(INSTALLED)
	@$(RUN) $(VENV)/swssl_nb demo --out runs/demo --overwrite

test: $(INSTALLED)
	@$(RUN) $(VENV)/python .ci/check.py

check: $(INSTALLED)
	@$(RUN) $(VENV)/python .ci/check.py house

FIRST = $(firstword $(sort $(wildcard nbs/tutorials/*.ipynb)) nbs/index.ipynb)
lab: $(INSTALLED)
	@$(VENV)/jupyter-lab $(if $(filter 0,$(shell id -u)),--allow-root) --LabApp.default_url=/lab/tree/$(FIRST)

readme: $(INSTALLED)
	@$(RUN) $(VENV)/python .ci/readme.py

site: $(INSTALLED)
	@$(RUN) $(VENV)/python .ci/pages.py site
