terraform {
  required_version = ">= 1.9, < 2.0"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50"
    }
  }

  # State holds no secret, but whoever may write it may change everything: a bucket of the platform's own, with
  # versions. Make it once (gcloud storage buckets create gs://MY-PROJECT-terraform --uniform-bucket-level-access
  # --public-access-prevention), then:
  #
  # backend "gcs" {
  #   bucket = "my-project-terraform"
  #   prefix = "refeed"
  # }
}

provider "google" {
  project = var.gcp_project
  region  = var.region

  # Requests count for this project: the API of budgets refuses those that count for nobody.
  user_project_override = true
  billing_project       = var.gcp_project

  default_labels = { app = "refeed" }
}
