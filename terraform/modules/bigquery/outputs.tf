output "staging" {
  description = "The IDs of the staging datasets by Refeed project, for the identities module and the installation file's `staging`."
  value       = { for project, dataset in google_bigquery_dataset.staging : project => dataset.dataset_id }
}
