output "databases" {
  description = "The names of the databases by Refeed project, for the identities module and the installation file's `store`."
  value       = { for project, database in google_firestore_database.this : project => database.name }
}
