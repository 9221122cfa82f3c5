.PHONY: rules dashboards

# Rules, Alertmanager's configuration, runbooks and dashboards: needs promtool, amtool, alertmanager, and Python with PyYAML.
rules:
	promtool check config alerts/prometheus.yml
	promtool test rules alerts/tests/*.test.yml
	amtool check-config alerts/alertmanager.yml
	python3 alerts/tests/inhibitions.py
	python3 alerts/tests/lint.py
	python3 dashboards/generate.py --check

dashboards:
	python3 dashboards/generate.py
