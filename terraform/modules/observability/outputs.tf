output "dashboard" {
  description = "The URL of the Google Cloud project's dashboards. Open the one named Refeed."
  value       = "https://console.cloud.google.com/monitoring/dashboards?project=${google_monitoring_dashboard.this.project}"
}
