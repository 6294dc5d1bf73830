// Package deploy is how Spillway is run and watched: the config files of
// docker-compose.yml, the alerts and the dashboard, and manifests for Kubernetes.
//
//	compose/     what docker-compose.yml mounts: the config of the workers, of NATS, a token
//	prometheus/  prometheus.yml, alerts.yml, and alerts_test.yml, which proves each alert
//	grafana/     the dashboard, and how it is provisioned
//	kubernetes/  Deployment, PodDisruptionBudget, PodMonitor, and KEDA's ScaledObject
//
// There is no code in it but its tests. They run the files: the commands of the compose
// file with the real command, the rules through promtool, and every query of the alerts
// and the dashboard in a Prometheus that scrapes a worker.
package deploy
